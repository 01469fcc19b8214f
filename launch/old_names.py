"""Moves what release 0.1.0 kept in Redis without a prefix to the names that are used now.

Each step is one script, so a kill between two leaves every entry in one place or the other, and
the next start goes on. Where both names hold something (an older release ran again in between),
what is under the old name is appended to what is under the new one.
"""

import logging

from settings.environment import Settings
from settings.redis_names import PrefixedRedis, redis_name
from settings.redis_prefix import DEFAULT_PREFIX

log = logging.getLogger(__name__)

STREAMS = (("ledger",), ("ledger", "damaged"))
OTHERS = (("ledger", "drained"), ("metrics", "snapshots"))
CHUNK = 256

# A stream whose entries lack our field is another program's: it is left alone. Answers how many
# entries may be left.
_MOVE_STREAM = """
if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return 0 end
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if first and first[2][1] ~= 'e' then return 0 end
if redis.call('EXISTS', KEYS[2]) == 0 then
    redis.call('RENAME', KEYS[1], KEYS[2])
    return 0
end
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1])) do
    redis.call('XADD', KEYS[2], '*', unpack(entry[2]))
    redis.call('XDEL', KEYS[1], entry[1])
end
local left = redis.call('XLEN', KEYS[1])
if left == 0 then redis.call('DEL', KEYS[1]) end
return left
"""

# The newer value wins: these are a mark that follows from the stream, and counters.
_MOVE_OTHER = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then redis.call('DEL', KEYS[1]) end
return 0
"""


async def move_old_names(redis: PrefixedRedis, settings: Settings) -> None:
    """Bring an older release's data under the prefix; does nothing where there is none."""
    # Older releases knew no other prefix, and did not run where no configuration was published.
    if settings.redis_prefix != DEFAULT_PREFIX:
        return
    if not await redis.exists(redis_name(redis, "config", "active")):
        return
    move_stream = redis.register_script(_MOVE_STREAM)
    for parts in STREAMS:
        keys = [":".join(parts), redis_name(redis, *parts)]
        while left := int(await move_stream(keys=keys, args=[CHUNK])):
            log.info("%s is being renamed to %s, %d entries are left", *keys, left)
    move_other = redis.register_script(_MOVE_OTHER)
    for parts in OTHERS:
        await move_other(keys=[":".join(parts), redis_name(redis, *parts)])
