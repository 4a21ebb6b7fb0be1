-- message, owner
local message, owner = ARGV[2], ARGV[3]
local opened = attempts_of(message)
opened[owner] = nil
put_attempts(message, opened)
