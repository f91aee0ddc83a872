-- Grabs one amount from the pool, once for each user: what many event servers keep in Redis.
local had = redis.call('HGET', 'taken', ARGV[1])
if had then return had end
local fen = redis.call('LPOP', 'pool')
if not fen then return 0 end
redis.call('HSET', 'taken', ARGV[1], fen)
return fen
