-- owner, lease in microseconds, call ids... -> for each: the finished call | 0: leased | microseconds left of another
-- owner's lease
local owner, lease_us = ARGV[2], tonumber(ARGV[3])

local function claim(call_id)
  local done = redis.call('HGET', calls, call_id)
  if done then return done end
  local lease = lease_of(call_id)
  if extend(call_id, lease, owner, lease_us) then return 0 end
  if lease and lease.ends > now then return lease.ends - now end
  if lease then add_to_history(call_id, lease, 'open') end
  new_lease(call_id, owner, lease_us)
  return 0
end

local answers = {}
for i = 4, #ARGV do answers[#answers + 1] = claim(ARGV[i]) end
return answers
