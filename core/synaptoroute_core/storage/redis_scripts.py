"""The scripts of the store in Redis: each is one step, so that nobody comes between its parts.

``KEYS`` are those of :data:`KINDS`, in its order. A script that fails keeps what it has done so far, so whatever
can fail comes before the first write: the kinds of the keys, and what the user may do, which is tried with commands
that change nothing. Of these, the first has to be one that takes memory, as Redis looks only then whether there is any.
"""

KINDS = {"state": "hash", "routes": "hash", "vectors": "hash", "heads": "hash", "log": "stream", "turn": "string"}
"""Keys by their last part, and what is kept in each."""

CREATE = """
local kinds, there = {'hash', 'hash', 'hash', 'hash', 'stream'}, redis.call('EXISTS', KEYS[1])
for place, kind in ipairs(kinds) do
    local found = redis.call('TYPE', KEYS[place])['ok']
    if found ~= 'none' and (found ~= kind or there == 0) then return {'', KEYS[place]} end
end
if there == 0 then
    redis.call('HSET', KEYS[1], 'layout', ARGV[1], 'epoch', ARGV[2], 'revision', '0', 'token', '', 'fence', '0',
        'places', '0', 'count', '0', 'fingerprint', '', 'dim', '0', 'fits', '[]')
end
local layout = redis.call('HGET', KEYS[1], 'layout')
return {layout or '', KEYS[1]}
"""
"""Makes the keys if there are none. Gives the layout; or nothing, and a key that is something else's."""

MARK = ("epoch", "revision", "token")
STATE = (*MARK, "fence", "places", "count", "fingerprint", "dim", "fits")

READ = """
local at = redis.call('HMGET', KEYS[1], 'epoch', 'revision', 'token', 'fence', 'places', 'count', 'fingerprint',
    'dim', 'fits')
local log, routes, heads, reach = {}, {}, {}, 'all'
if not at[1] then return {at, 'all', log, routes, heads} end
if at[1] == ARGV[1] and at[2] == ARGV[2] and at[3] == ARGV[3] then return {at, 'same', log, routes, heads} end
for _, key in ipairs({KEYS[2], KEYS[3]}) do
    if redis.call('HLEN', key) ~= tonumber(at[6]) then return {at, 'lost', log, routes, heads} end
end
local names = {}
if at[1] == ARGV[1] then
    local entries = redis.call('XRANGE', KEYS[5], ARGV[2] .. '-0', '+')
    if entries[1] and entries[1][1] == ARGV[2] .. '-0' and entries[1][2][6] == ARGV[3] then
        reach = 'part'
        for place = 2, #entries do
            local kind, touched = entries[place][2][2] or '', entries[place][2][4] or ''
            log[#log + 1] = {kind, touched}
            local readable, list = pcall(cjson.decode, touched)
            if readable and type(list) == 'table' then
                for _, name in ipairs(list) do names[tostring(name)] = true end
            end
            if kind == 'reset' then reach = 'all' end
        end
    end
end
if reach == 'all' then
    for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do names[name] = true end
end
for name in pairs(names) do
    routes[#routes + 1] = {name, redis.call('HGET', KEYS[2], name), redis.call('HGET', KEYS[3], name)}
end
if at[9] ~= '[]' then
    local known = {}
    for place = 4, #ARGV do known[ARGV[place]] = true end
    for _, digest in ipairs(redis.call('HKEYS', KEYS[4])) do
        if not known[digest] then heads[#heads + 1] = {digest, redis.call('HGET', KEYS[4], digest)} end
    end
end
return {at, reach, log, routes, heads}
"""
"""What leads from a mark (its epoch, revision and token) to now; heads whose digests follow the mark are left out."""

COMMIT = """
local at = redis.call('HMGET', KEYS[1], 'epoch', 'revision', 'token', 'fence')
for place = 1, 4 do
    if at[place] ~= ARGV[place] then return 0 end
end
local turn = redis.call('GET', KEYS[6])
if turn and turn ~= ARGV[5] then return -1 end
for place, kind in ipairs({'hash', 'hash', 'hash', 'hash', 'stream'}) do
    local found = redis.call('TYPE', KEYS[place])['ok']
    if found ~= 'none' and found ~= kind then
        return redis.error_reply('the key ' .. KEYS[place] .. ' is a ' .. found)
    end
end
redis.call('HLEN', KEYS[2])
redis.call('HSET', KEYS[1], 'fence', at[4])
for _, place in ipairs({2, 3, 4}) do redis.call('HDEL', KEYS[place], '') end
redis.call('DEL', KEYS[6])
local revision, place = string.format('%d', tonumber(ARGV[2]) + 1), 11
redis.call('XADD', KEYS[5], 'MAXLEN', ARGV[9], revision .. '-0', 'kind', ARGV[7], 'routes', ARGV[8], 'token', ARGV[6])
for _ = 1, tonumber(ARGV[10]) do
    local key, name, count = KEYS[tonumber(ARGV[place])], ARGV[place + 1], tonumber(ARGV[place + 2])
    redis.call(name, key, unpack(ARGV, place + 3, place + 2 + count))
    place = place + 3 + count
end
redis.call('HSET', KEYS[1], 'revision', revision, 'token', ARGV[6], 'count', redis.call('HLEN', KEYS[2]))
redis.pcall('PUBLISH', KEYS[1], revision)
return 1
"""
"""Compares and writes in one step: what was read to decide on the change still holds, or nothing is written.

Gives 1 if it was written, 0 if somebody else came before, -1 if it is somebody else's turn.
"""

SETTLE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local fence = tonumber(redis.call('HGET', KEYS[1], 'fence')) or 0
redis.call('HSET', KEYS[1], 'fence', string.format('%d', fence + 1))
local found = redis.call('XRANGE', KEYS[5], ARGV[1] .. '-0', ARGV[1] .. '-0')
return found[1] and found[1][2][6] == ARGV[2] and 1 or 0
"""
"""Whether a change was made; if not, it never will be: what is still under way finds the fence moved."""
