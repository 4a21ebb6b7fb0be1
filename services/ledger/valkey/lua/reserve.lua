-- work and life, case id, recipe id, prior, settled cases needed for a mean -> 1: reserved, now or before | 0: wait
local work, case, recipe = ARGV[2], ARGV[3], ARGV[4]
if redis.call('HEXISTS', budget, 'ended ' .. case) == 1 then return 0 end
if reservation_of(work) then return 1 end
local cases = tonumber(redis.call('HGET', settled, recipe .. '\ncases') or '0')
local estimate = tonumber(ARGV[5])
if cases >= tonumber(ARGV[6]) then
  estimate = math.floor(tonumber(redis.call('HGET', settled, recipe .. '\nnano_usd')) / cases)
end
local limit = redis.call('HGET', budget, 'limit')
if limit and amount('spent') + amount('reserved') + estimate > tonumber(limit) then
  redis.call('HSET', budget, 'waiting', 1)
  return 0
end
redis.call('HSET', budget, 'waiting', 0)
put_reservation(work, {at = int(now), estimate = estimate, spent = 0, open = true, recipe = recipe, case = case})
redis.call('HSET', open_of, case, work)
add('reserved', estimate)
add('open', 1)
return 1
