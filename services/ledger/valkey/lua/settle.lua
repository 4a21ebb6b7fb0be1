-- work and life
local work = ARGV[2]
local r = reservation_of(work)
if not r then
  put_reservation(work, {at = int(now), estimate = 0, spent = 0, open = false, recipe = '', case = ''})
elseif r.open then
  r.open = false
  put_reservation(work, r)
  if redis.call('HGET', open_of, r.case) == work then redis.call('HDEL', open_of, r.case) end
  redis.call('HINCRBY', settled, r.recipe .. '\ncases', 1)
  redis.call('HINCRBY', settled, r.recipe .. '\nnano_usd', int(r.spent))
  add('reserved', -math.max(0, r.estimate - r.spent))
  add('open', -1)
end
return 1
