-- index of the key, age in microseconds, cursor -> the next cursor ('0' at the end), number of dropped entries
local key, oldest, cursor = KEYS[tonumber(ARGV[2])], now - tonumber(ARGV[3]), ARGV[4]
local page = redis.call('HSCAN', key, cursor, 'COUNT', 200)
local dropped = 0
for i = 1, #page[2], 2 do
  local open = key == reservations and string.match(page[2][i + 1], '^%d+ %d+ %d+ 1 ')
  if not open and tonumber(string.match(page[2][i + 1], '^%d+')) < oldest then
    dropped = dropped + redis.call('HDEL', key, page[2][i])
  end
end
return {page[1], dropped}
