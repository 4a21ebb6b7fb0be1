-- owner, then call id, outcome and charge (budgets.lua) of each call -> for each: the call finished earlier | nil: written
local owner = ARGV[2]

local function complete(call_id, outcome, cost)
  local done = redis.call('HGET', calls, call_id)
  if done then return done end
  redis.call('HSET', calls, call_id, int(now) .. ' ' .. owner .. '\n' .. outcome)
  local lease = lease_of(call_id)
  if lease and lease.owner == owner then
    end_lease(call_id, lease, 'completed')
  elseif lease and lease.ends > now then
    end_lease(call_id, lease, 'released')
  end
  charge(cost)
  return false
end

local answers = {}
for i = 3, #ARGV, 3 do answers[#answers + 1] = complete(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers
