-- Included after the prelude in every script that changes spending or reservations. The last five of KEYS:
--
-- spending      hash  ALIAS \n STAGE \n calls, prompt, completion, cached or nano_usd -> sum
-- budget        hash  limit (absent: none), waiting, reserved, open, spent: nano-USD and counts;
--                     `ended CASE` -> why a person ended a question that waited
-- reservations  hash  WORK LIFE -> AT ESTIMATE SPENT OPEN RECIPE CASE
-- open_of       hash  case id -> WORK LIFE of its latest open reservation
-- settled       hash  RECIPE \n cases or nano_usd -> sum
--
-- Sums are below 2^53: 9 million USD in nano-USD.

local spending, budget, reservations, open_of, settled = unpack(KEYS, #KEYS - 4)

local function amount(name) return tonumber(redis.call('HGET', budget, name) or '0') end

local function reservation_of(work)
  local value = redis.call('HGET', reservations, work)
  if not value then return nil end
  local at, estimate, spent, open, recipe, case = string.match(value, '^(%d+) (%d+) (%d+) (%d) (%S*) (%S*)$')
  return {at = at, estimate = tonumber(estimate), spent = tonumber(spent), open = open == '1', recipe = recipe, case = case}
end

local function put_reservation(work, r)
  local value = {r.at, int(r.estimate), int(r.spent), r.open and '1' or '0', r.recipe, r.case}
  redis.call('HSET', reservations, work, table.concat(value, ' '))
end

-- Lua formats -0 as '-0', which the server rejects as an integer; adding 0 avoids it.
local function add(name, by) redis.call('HINCRBY', budget, name, int(by + 0)) end

-- A call is `ALIAS \n STAGE \n CASE \n PROMPT \n COMPLETION \n CACHED \n NANO_USD`; '' for one without a price.
local function charge(call)
  local alias, stage, case, prompt, completion, cached, cost =
    string.match(call, '^(.-)\n(.-)\n(.-)\n(%d+)\n(%d+)\n(%d+)\n(%d+)$')
  if not alias then return end
  local key = alias .. '\n' .. stage .. '\n'
  redis.call('HINCRBY', spending, key .. 'calls', 1)
  redis.call('HINCRBY', spending, key .. 'prompt', prompt)
  redis.call('HINCRBY', spending, key .. 'completion', completion)
  redis.call('HINCRBY', spending, key .. 'cached', cached)
  redis.call('HINCRBY', spending, key .. 'nano_usd', cost)
  redis.call('HINCRBY', budget, 'spent', cost)
  cost = tonumber(cost)
  local work = cost > 0 and redis.call('HGET', open_of, case)
  if not work then return end
  local r = reservation_of(work)
  if not r or not r.open then return end
  add('reserved', -math.min(cost, math.max(0, r.estimate - r.spent)))
  r.spent = r.spent + cost
  put_reservation(work, r)
end
