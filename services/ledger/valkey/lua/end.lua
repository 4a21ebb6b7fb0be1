-- case id, reason -> 1: a question of it will not be admitted | 0: it is admitted already
if redis.call('HGET', open_of, ARGV[2]) then return 0 end
redis.call('HSET', budget, 'ended ' .. ARGV[2], ARGV[3])
return 1
