-- KEYS: the hash of cases. case id, body before ('' for none), body after ('' for none), commands as JSON
--   -> 1: body and commands are written; 0: the body has changed meanwhile, read it again
local case_id, before, after, commands = ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[5])
if (redis.call('HGET', KEYS[1], case_id) or '') ~= before then return 0 end
if after == '' then
  redis.call('HDEL', KEYS[1], case_id)
else
  redis.call('HSET', KEYS[1], case_id, after)
end
for _, command in ipairs(commands) do redis.call(unpack(command)) end
return 1
