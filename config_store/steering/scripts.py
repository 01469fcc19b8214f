"""The two scripts by which the steering state is read and changed, each one step in Redis."""

from config_store.steering.carried_out import KEPT_SECONDS
from config_store.steering.journal import MOST_BYTES, MOST_ENTRIES
from config_store.store import IS_WITHDRAWN
from observability.timeline.stream import NOTE

# Without a state, or where versions were published or activated past it, the headers of these are
# given too: of each record what is not its document.
_CLOCK = """
local function clock()
    local time = redis.call('TIME')
    return string.format('%.6f', time[1] + time[2] / 1000000)
end
"""

# Also where documents were removed behind steering's back: no number is given out again. What
# somebody wrote there by hand, and is no number that steering gives out, says nothing.
_HIGHEST = """
local function whole(text)
    local digits = type(text) == 'string' and #text < 16 and string.match(text, '^%d+$')
    return digits and tonumber(digits) or 0
end
local function highest(versions, newest)
    local number = math.max(redis.call('HLEN', versions), whole(newest))
    while redis.call('HEXISTS', versions, number + 1) == 1 do number = number + 1 end
    return number
end
"""

READ = f"""
{_CLOCK}
{_HIGHEST}
local stored = redis.call('HMGET', KEYS[1], 'revision', 'state', 'digest', 'newest', 'active')
local pointer = redis.call('GET', KEYS[2])
local count = highest(KEYS[3], stored[4])
local headers = {{}}
local function header(number)
    local record = redis.call('HGET', KEYS[3], number)
    if not record then return end
    local read, fields = pcall(cjson.decode, record)
    if not read or type(fields) ~= 'table' then fields = {{}} end
    local function text(name) return type(fields[name]) == 'string' and fields[name] or '' end
    local others = fields.co_authors
    table.insert(headers, cjson.encode({{
        number = tonumber(number),
        config_hash = text('config_hash'),
        author = text('author'),
        co_authors = type(others) == 'table' and #others > 0 and others or nil,
        reason = text('reason'),
        created = text('created'),
        withdrawn = fields.withdrawn == true,
    }}))
end
local first = whole(stored[4]) + 1
for number = math.max(first, count - tonumber(ARGV[1]) + 1), count do header(tostring(number)) end
if pointer and pointer ~= stored[5] then header(pointer) end
-- Who removed the state leaves its copy: then this is no installation without one.
local copied = false
if not stored[1] and not stored[2] then
    local found = redis.pcall('HGET', KEYS[4], 'revision')
    copied = type(found) == 'string' and found
end
return {{stored[1], stored[2], stored[3], pointer, count, headers, clock(), copied}}
"""

# What no state can be read from or written to is dropped: somebody put it there. In one step with
# the look at its type: another process may have dropped it and written a state meanwhile.
DROP_OTHER_TYPES = """
for at, key in ipairs(KEYS) do
    local kind = redis.call('TYPE', key).ok
    if kind ~= ARGV[at] and kind ~= 'none' then redis.call('DEL', key) end
end
"""

# Of a withdrawn version all is kept but its document, which is the last of a record's fields. Texts
# have their quotes escaped, so that none is taken for the name of a field.
_SPEND = """
local function spend(versions, number, hash)
    local record = redis.call('HGET', versions, number)
    local at = record and string.find(record, ',"document":', 1, true)
    if not at then return end
    local left = string.sub(record, 1, at - 1) .. ',"withdrawn":true}'
    local read, fields = pcall(cjson.decode, left)
    if read and type(fields) == 'table' and fields.config_hash == hash then
        redis.call('HSET', versions, number, left)
    end
end
"""

# Over its memory limit Redis refuses a script at the first write that takes memory. Once one ran
# that takes none the script runs to its end: nothing that ends something is refused for room.
# A command that fails ends its script too, and what was written before stays. So whether something
# of another type is in the place of what is written after the state is looked at first. What ends
# something leaves that out.
CHANGE = f"""
{NOTE}
{_CLOCK}
{_HIGHEST}
{IS_WITHDRAWN}
{_SPEND}
local given, at = cjson.decode(ARGV[1]), 1
local function next_argument() at = at + 1; return ARGV[at] end
local state, draft, entry = next_argument(), next_argument(), next_argument()
if (redis.call('HGET', KEYS[1], 'digest') or '') ~= given.seen_digest then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= given.seen_pointer then return 0 end
if highest(KEYS[3], redis.call('HGET', KEYS[1], 'newest')) ~= given.seen_published then
    return 0
end
if tonumber(clock()) > given.latest then return 0 end
local leads_elsewhere = given.switches and given.active ~= given.seen_pointer
if leads_elsewhere then
    local record = redis.call('HGET', KEYS[3], given.active)
    if not record or is_withdrawn(record) then return -1 end
end
local function has_place(key, kind)
    local found = redis.call('TYPE', key).ok
    return found == kind or found == 'none'
end
local is_filed, has_journal = has_place(KEYS[4], 'hash'), has_place(KEYS[5], 'zset')
local has_timeline = has_place(KEYS[6], 'stream') and has_place(KEYS[7], 'string')
if not given.ends and not (is_filed and has_journal and has_timeline) then return -2 end
if given.ends then redis.call('HDEL', KEYS[1], '') end
if KEYS[9] then redis.call('SET', KEYS[9], given.newest, 'EX', {KEPT_SECONDS}) end
if draft ~= '' then redis.call('HSET', KEYS[3], given.draft, draft) end
redis.call('HSET', KEYS[1], 'revision', given.revision, 'state', state, 'digest', given.digest,
           'newest', given.newest, 'active', given.active)
redis.call('DEL', KEYS[8])  -- whatever somebody put in its place
redis.call('HSET', KEYS[8], 'revision', given.revision, 'state', state, 'digest', given.digest)
redis.call('SET', KEYS[2], given.active)
for _ = 1, given.filed do
    local number, life = next_argument(), next_argument()
    if is_filed then redis.call('HSET', KEYS[4], number, life) end
end
for number, hash in pairs(given.spent) do spend(KEYS[3], number, hash) end
if entry ~= '' and has_journal then
    redis.call('ZADD', KEYS[5], given.changed, entry)
    redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -{MOST_ENTRIES} - 1)
    local used = redis.pcall('MEMORY', 'USAGE', KEYS[5], 'SAMPLES', '16')
    if type(used) == 'number' and used > {MOST_BYTES} then
        redis.call('ZREMRANGEBYRANK', KEYS[5], 0, math.floor(redis.call('ZCARD', KEYS[5]) / 10))
    end
end
for _ = 1, given.events do
    local told = next_argument()
    if has_timeline then note(KEYS[6], KEYS[7], told) end
end
redis.call('PUBLISH', given.channel, 'steered ' .. given.revision)
return 1
"""
