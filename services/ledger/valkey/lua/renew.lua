-- owner, lease in microseconds, call ids... -> for each: 1: renewed | 0: lost
local owner, lease_us = ARGV[2], tonumber(ARGV[3])
local answers = {}
for i = 4, #ARGV do
  answers[#answers + 1] = extend(ARGV[i], lease_of(ARGV[i]), owner, lease_us) and 1 or 0
end
return answers
