-- submission, position, recipe id, refusal or ''; for a candidate also: case id, bytes per signature value, values of the
-- whole question, equal values that make a near-duplicate, equal values required of the options, signature, shown text,
-- bands... -> verdict, recipe id, stored refusal or ''
local submission, position, recipe_id, refusal = ARGV[2], ARGV[3], ARGV[4], ARGV[5]

local function equal(one, other, from, to, width)
  local count = 0
  for at = from, to, width do
    if string.sub(one, at, at + width - 1) == string.sub(other, at, at + width - 1) then count = count + 1 end
  end
  return count
end

-- The known questions that share a band, and the stored value of each band.
local function candidates(keys)
  local found, written = {}, {}
  for _, key in ipairs(keys) do
    local value = redis.call('HGET', bands, key)
    if value then
      written[key] = string.match(value, '^%d+( .*)$')
      for case_id in string.gmatch(written[key], '%S+') do found[case_id] = true end
    end
  end
  return found, written
end

-- Store a candidate and return '', unless it is a near-duplicate: then return its refusal, as read by
-- services/ledger/encoding/refusals.py.
local function admit_candidate(case_id, width, whole, threshold, options_threshold, signature, shown, keys)
  if redis.call('HEXISTS', known, case_id) == 1 then return '' end
  local found, written = candidates(keys)
  local best, most, best_shown = nil, threshold - 1, nil
  for other in pairs(found) do
    local value = redis.call('HGET', known, other)
    if value then
      local from = string.find(value, ' ', 1, true) + 1
      local theirs = string.sub(value, from, from + #signature - 1)
      if equal(signature, theirs, whole * width + 1, #signature, width) >= options_threshold then
        local count = equal(signature, theirs, 1, whole * width, width)
        if count > most or (best and count == most and other < best) then
          best, most, best_shown = other, count, string.sub(value, from + #signature)
        end
      end
    end
  end
  if best then
    return '{"reason":"near_duplicate","match":{"where":' .. cjson.encode(best) .. ',"similarity":'
      .. string.format('%.17g', most / whole) .. ',' .. string.sub(best_shown, 2) .. '}'
  end
  redis.call('HSET', known, case_id, int(now) .. ' ' .. signature .. shown)
  for _, key in ipairs(keys) do
    redis.call('HSET', bands, key, int(now) .. (written[key] or '') .. ' ' .. case_id)
  end
  return ''
end

local value = redis.call('HGET', admissions, submission)
if value then
  local first, given = string.match(value, '^%d+ (%S+) (.*)$')
  if first == position then
    local kept = redis.call('HGET', refusals, submission)
    return {'same', given, kept and string.match(kept, '^%d+ (.*)$') or ''}
  end
  redis.call('HSETNX', duplicates, submission .. position, int(now))
  return {'duplicate', given, ''}
end
if refusal == '' and #ARGV > 5 then
  refusal = admit_candidate(ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), ARGV[11],
    ARGV[12], {unpack(ARGV, 13)})
end
redis.call('HSET', admissions, submission, int(now) .. ' ' .. position .. ' ' .. recipe_id)
redis.call('HDEL', duplicates, submission .. position) -- left over from a pruned first submission
redis.call('HDEL', refusals, submission) -- likewise
if refusal ~= '' then redis.call('HSET', refusals, submission, int(now) .. ' ' .. refusal) end
return {'first', recipe_id, refusal}
