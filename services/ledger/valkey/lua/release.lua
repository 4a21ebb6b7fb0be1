-- owner, call ids...
local owner = ARGV[2]
for i = 3, #ARGV do
  local lease = lease_of(ARGV[i])
  if lease and lease.owner == owner and lease.ends > now then end_lease(ARGV[i], lease, 'released') end
end
