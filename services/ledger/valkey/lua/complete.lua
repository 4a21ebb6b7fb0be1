-- owner, then call id, outcome and what it is put down to (money.lua), in turn -> for each: the finished call that stood already | nil: this one was written
local owner = ARGV[2]

local function complete(call_id, outcome, paid)
  local done = redis.call('HGET', calls, call_id)
  if done then return done end
  redis.call('HSET', calls, call_id, int(now) .. ' ' .. owner .. '\n' .. outcome)
  local lease = lease_of(call_id)
  if lease and lease.owner == owner then
    end_lease(call_id, lease, 'completed')
  elseif lease and lease.ends > now then
    end_lease(call_id, lease, 'released')
  end
  pay(paid)
  return false
end

local answers = {}
for i = 3, #ARGV, 3 do answers[#answers + 1] = complete(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answers
