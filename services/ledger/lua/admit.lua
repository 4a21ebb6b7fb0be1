-- submission, position, recipe id -> verdict, the recipe given
local submission, position, recipe_id = ARGV[2], ARGV[3], ARGV[4]
local value = redis.call('HGET', admissions, submission)
if not value then
  redis.call('HSET', admissions, submission, int(now) .. ' ' .. position .. ' ' .. recipe_id)
  redis.call('HDEL', duplicates, submission .. position) -- left from a first that was pruned
  return {'first', recipe_id}
end
local first, given = string.match(value, '^%d+ (%S+) (.*)$')
if first == position then return {'same', given} end
redis.call('HSETNX', duplicates, submission .. position, int(now))
return {'duplicate', given}
