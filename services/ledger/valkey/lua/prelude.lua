-- Put before every script. ARGV[1] is the time in microseconds, or '' for the server's own; scripts count from ARGV[2].
--
-- calls       hash  call id -> AT OWNER \n OUTCOME          finished calls
-- leases      hash  call id -> UNTIL SINCE NUMBER OWNER     the latest lease of a call, until somebody ends it
-- history     hash  NUMBER -> UNTIL SINCE ENDED CALL_ID OWNER   leases that were ended or taken over
-- admissions  hash  submission -> AT POSITION RECIPE_ID     who was first
-- duplicates  hash  submission and position -> AT
-- attempts    hash  service and position -> LATEST {owner: AT}
-- numbers     the number of the last lease given
-- refusals    hash  submission -> AT JSON                   why it was refused when it came first
-- known       hash  case id -> AT SIGNATURE JSON            questions that were let in, for newcomers to be held against
-- bands       hash  band -> LATEST CASE_ID CASE_ID...       the known ones that share it; some may be pruned already
--
-- Each value begins with the moment by which prune goes. Times are written as integers: Lua's own notation of a
-- number keeps 14 digits, microseconds need 16. KEYS all share a hash tag, for a cluster's sake.

local calls, leases, history, admissions, duplicates, attempts, numbers, refusals, known, bands = unpack(KEYS)

local function time_us()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local now = time_us()

local function int(us) return string.format('%.0f', us) end

local function lease_of(call_id)
  local value = redis.call('HGET', leases, call_id)
  if not value then return nil end
  local ends, since, number, owner = string.match(value, '^(%d+) (%d+) (%d+) (.*)$')
  return {ends = tonumber(ends), since = since, number = number, owner = owner}
end

local function put_lease(call_id, lease)
  local value = {int(lease.ends), lease.since, lease.number, lease.owner}
  redis.call('HSET', leases, call_id, table.concat(value, ' '))
end

local function new_lease(call_id, owner, lease_us)
  local number = int(redis.call('INCR', numbers))
  put_lease(call_id, {ends = now + lease_us, since = int(now), number = number, owner = owner})
end

local function into_history(call_id, lease, ended)
  local value = {int(lease.ends), lease.since, ended, call_id, lease.owner}
  redis.call('HSET', history, lease.number, table.concat(value, ' '))
end

local function end_lease(call_id, lease, ended)
  lease.ends = math.min(lease.ends, now)
  into_history(call_id, lease, ended)
  redis.call('HDEL', leases, call_id)
end

-- Extend the lease if it lives and is the owner's.
local function extend(call_id, lease, owner, lease_us)
  if not lease or lease.owner ~= owner or lease.ends <= now then return false end
  lease.ends = math.max(lease.ends, now + lease_us)
  put_lease(call_id, lease)
  return true
end

local function attempts_of(message)
  local value = redis.call('HGET', attempts, message)
  if not value then return {} end
  return cjson.decode(string.match(value, '^%d+ (.*)$'))
end

-- Write the attempts of a message, or drop it where there is none; how many there are.
local function put_attempts(message, opened)
  local latest, count = 0, 0
  for _, at in pairs(opened) do
    latest, count = math.max(latest, tonumber(at)), count + 1
  end
  if count == 0 then
    redis.call('HDEL', attempts, message)
  else
    redis.call('HSET', attempts, message, int(latest) .. ' ' .. cjson.encode(opened))
  end
  return count
end
