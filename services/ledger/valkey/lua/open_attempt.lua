-- message, owner -> number of open attempts of other owners
local message, owner = ARGV[2], ARGV[3]
local opened = attempts_of(message)
opened[owner] = int(now)
return put_attempts(message, opened) - 1
