"""The steps of a key's log that Redis takes as one: to append, to save, to repair, to clear.

Each is given the names of the log, the snapshot, the index and the deleted keys, in this order, and
the key's own name first among the arguments (APPEND, SAVE and STANDS need the first two names, and
no key).
"""

from deployments.runtime.state.position import ANY_MARK, POSITION

# For so long a late holder might still append to what is gone, or save it.
DELETED_SECONDS = 86_400

# An entry follows the one that its writer knows to be the latest, by its number and its mark: where
# another stands there nothing is appended, and the writer is to read the key again.
_FOLLOWS = f"""
{POSITION}
local function follows(log, snapshot, number, mark)
  local latest, found = position(log, snapshot)
  return latest == tonumber(number) - 1 and (mark == '{ANY_MARK}' or mark == found)
end
"""

# Of several keys at once, for a call costs more than what it does: two names and four arguments
# each, and each has its own outcome, an error too.
APPEND = f"""
{_FOLLOWS}
local function append(log, snapshot, number, mark, events, ids)
  if not follows(log, snapshot, number, mark) then return 0 end
  redis.call('XADD', log, number .. '-0', 'e', events, 'i', ids)
  return 1
end
local taken = {{}}
for at = 1, #KEYS / 2 do
  local first = 4 * at - 3
  local done, found = pcall(append, KEYS[2 * at - 1], KEYS[2 * at], unpack(ARGV, first, first + 3))
  if not done and type(found) ~= 'table' then found = redis.error_reply(found) end
  taken[at] = found
end
return taken
"""

# A command that fails ends its script, and what was written before stays. So what could fail once
# an entry is appended is looked at before: whoever hears of an error knows that nothing was done.
_CHECKS = """
local function wrong(name, kind)
  local found = redis.call('TYPE', name).ok
  return found ~= 'none' and found ~= kind
    and redis.error_reply('WRONGTYPE ' .. name .. ' is a ' .. found .. ' and no ' .. kind)
end
local function no_count(name, field)
  local found = redis.call('HGET', name, field)
  return found and not string.match(found, '^-?%d+$')
    and redis.error_reply('ERR ' .. name .. ' has no number for ' .. field)
end
local unlisted = wrong(KEYS[3], 'zset') or wrong(KEYS[4], 'zset')
if unlisted then return unlisted end
"""

# The first entry of a key. Where its creator's quotas are named too, the
# key counts for its creator from now on: while this was on its way the place may have been given
# back, or taken over by a holder that was about to begin the same key for another.
BEGIN = f"""
{_FOLLOWS}
{_CHECKS}
local owner = false
if KEYS[5] then
  local uncounted = wrong(KEYS[5], 'hash') or wrong(KEYS[6], 'hash')
  if uncounted then return uncounted end
  owner = redis.call('HGET', KEYS[5], ARGV[6])
  uncounted = no_count(KEYS[6], ARGV[7]) or owner and no_count(KEYS[6], owner)
  if uncounted then return uncounted end
end
if not follows(KEYS[1], KEYS[2], ARGV[2], ARGV[3]) then return 0 end
local taken = redis.pcall('XADD', KEYS[1], ARGV[2] .. '-0', 'e', ARGV[4], 'i', ARGV[5])
if type(taken) == 'table' and taken.err then return taken end
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if KEYS[5] and owner ~= ARGV[7] then
  if owner and redis.call('HINCRBY', KEYS[6], owner, -1) <= 0 then
    redis.call('HDEL', KEYS[6], owner)
  end
  redis.call('HSET', KEYS[5], ARGV[6], ARGV[7])
  redis.call('HINCRBY', KEYS[6], ARGV[7], 1)
end
return 1
"""

# A deletion takes the next number, and all that stays is that number and the rows taken of late.
# Redis refuses what takes memory when it is full, unless the script has written already: the first
# command trims nothing, so that what makes room is never refused.
END = f"""
{_FOLLOWS}
{_CHECKS}
if not follows(KEYS[1], KEYS[2], ARGV[2], ARGV[3]) then return 0 end
redis.call('XTRIM', KEYS[1], 'MINID', 0)
local taken = redis.pcall('XADD', KEYS[1], ARGV[2] .. '-0', 'e', '[]', 'i', '[]')
if type(taken) == 'table' and taken.err then return taken end
redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
redis.call('PERSIST', KEYS[1])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'n', ARGV[2], 's', '', 'i', ARGV[4], 'm', ARGV[5])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], redis.call('TIME')[1] + ARGV[6], ARGV[1])
return 1
"""

# A holder that was replaced may still write its last snapshot: an old one never replaces a newer
# one, nor what a deletion left. It stands for an entry of the log: where that is not there the key
# was deleted long ago, or Redis has forgotten the entry. The log is trimmed first, so that a full
# Redis takes the snapshot too.
SAVE = f"""
{POSITION}
local saved = tonumber(redis.call('HGET', KEYS[2], 'n') or '-1')
if tonumber(ARGV[1]) <= saved then return 0 end
local entry = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
local mark = entry and mark_of(entry[2])
if not mark or (ARGV[4] ~= '{ANY_MARK}' and ARGV[4] ~= mark) then return 0 end
redis.call('XTRIM', KEYS[1], 'MINID', tonumber(ARGV[1]) + 1)
redis.call('HSET', KEYS[2], 'n', ARGV[1], 's', ARGV[2], 'i', ARGV[3], 'm', mark)
return 1
"""

STANDS = f"""
{POSITION}
return {{position(KEYS[1], KEYS[2])}}
"""

_ALIVE = """
local state = redis.call('HGET', KEYS[2], 's')
local alive = redis.call('XLEN', KEYS[1]) > 0 or (state and state ~= '')
"""

# Releases before these scripts had Redis expire what they deleted, did not list a key again that
# began anew on it, and listed a deleted one when a late first entry was refused.
REPAIR = f"""
{_ALIVE}
redis.call('PERSIST', KEYS[1])
redis.call('PERSIST', KEYS[2])
if alive then
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
  if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
    redis.call('ZADD', KEYS[4], 'NX', redis.call('TIME')[1] + ARGV[2], ARGV[1])
  end
end
return 1
"""

# 0 where what is left of a deleted key is to stay longer.
CLEAR = f"""
local due = tonumber(redis.call('ZSCORE', KEYS[4], ARGV[1]) or '0')
if due > tonumber(redis.call('TIME')[1]) then return 0 end
{_ALIVE}
if alive then
  redis.call('ZADD', KEYS[3], 0, ARGV[1])
else
  redis.call('DEL', KEYS[1], KEYS[2])
end
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
"""
