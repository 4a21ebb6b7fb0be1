-- message, owner -> how many attempts of others are open
local message, owner = ARGV[2], ARGV[3]
local opened = attempts_of(message)
opened[owner] = int(now)
return put_attempts(message, opened) - 1
