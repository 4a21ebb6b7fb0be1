-- Prepended to every script. ARGV[1] is `TIME|STORE`: the time in microseconds, or nothing for the server's clock; and the id
-- of the store that the caller has opened, or nothing for one without. A script's own arguments start at ARGV[2].
--
-- calls       hash  call id -> AT OWNER \n OUTCOME          finished calls
-- leases      hash  call id -> UNTIL SINCE NUMBER OWNER     the latest lease of a call, until it is ended
-- history     hash  NUMBER -> UNTIL SINCE ENDED CALL_ID OWNER   leases that ended or were taken over
-- admissions  hash  submission -> AT POSITION RECIPE_ID     the first submission
-- duplicates  hash  submission and position -> AT
-- attempts    hash  service and position -> LATEST {owner: AT}
-- numbers     the number of the last lease
-- refusals    hash  submission -> AT JSON                   the first refusal
-- known       hash  case id -> AT SIGNATURE JSON            admitted questions, compared with candidates
-- bands       hash  band -> LATEST CASE_ID CASE_ID...       known questions that share it; some may be pruned already
--
-- Each value begins with the time that prune compares. Times are formatted as integers: Lua's default number format
-- keeps 14 digits, microseconds need 16. All KEYS share a hash tag, as a cluster requires.

local calls, leases, history, admissions, duplicates, attempts, numbers, refusals, known, bands = unpack(KEYS)

local given_us, store = string.match(ARGV[1], '^(%d*)|?(.*)$')

if store ~= '' and redis.call('GET', 'reasonmed{ledger}:store') ~= store then
  return redis.error_reply('EMPTIED since this process opened it, or replaced by another store: its calls would be paid for again')
end

local function time_us()
  if given_us ~= '' then return tonumber(given_us) end
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

local function add_to_history(call_id, lease, ended)
  local value = {int(lease.ends), lease.since, ended, call_id, lease.owner}
  redis.call('HSET', history, lease.number, table.concat(value, ' '))
end

local function end_lease(call_id, lease, ended)
  lease.ends = math.min(lease.ends, now)
  add_to_history(call_id, lease, ended)
  redis.call('HDEL', leases, call_id)
end

-- Extend the lease if it has not expired and belongs to the owner.
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

-- Write the attempts of a message, or delete the entry if there are none; returns their number.
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
