"""A key's log in Redis: entries numbered from 1, each appended once and in order, and snapshots.

The number of an entry is its id in a Redis stream, and Redis takes no id at or under the latest. So
an append is refused when somebody else has appended meanwhile, and whoever is refused knows that
its state is old: two replicas that both believe they hold a key can never fork it.

A snapshot stands for the entries up to its number, which are trimmed. With it go the ids of the
rows taken of late: by them a request that is sent again after a replica's death is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

# An entry holds all events of one key in one batch.
EVENTS, IDS = b"e", b"i"
# The latest rows whose ids go with a snapshot: more than all batches that can be on their way.
KEPT_IDS = 2_048
# One stream for all kinds: whoever listens to many keys reads one.
NOTICES = "ballast:notices"
KEPT_NOTICES = 10_000

# A holder that was replaced may still write its last snapshot: an old one never replaces a new one.
_SAVE = """
local saved = tonumber(redis.call('HGET', KEYS[1], 'n') or '-1')
if tonumber(ARGV[1]) < saved then return 0 end
redis.call('HSET', KEYS[1], 'n', ARGV[1], 's', ARGV[2], 'i', ARGV[3])
redis.call('XTRIM', KEYS[2], 'MINID', tonumber(ARGV[1]) + 1)
return 1
"""

# The mark of a deletion stays for as long as a late holder might still append to what is gone.
_DELETE = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'n', ARGV[1], 's', '')
redis.call('XTRIM', KEYS[2], 'MAXLEN', 0)
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZREM', KEYS[3], ARGV[3])
return 1
"""
DELETED_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Entry:
    """What one batch did to one key."""

    events: list[Any]
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Append:
    """An entry on its way to a key's log."""

    key: str
    number: int
    events: bytes
    rows: list[str]

    @classmethod
    def of(cls, key: str, number: int, entry: Entry) -> Self:
        return cls(key, number, orjson.dumps(entry.events), entry.ids)


@dataclass(frozen=True, slots=True)
class Saved:
    """What Redis holds of a key: the snapshot (None for no state yet), and what came after it."""

    number: int
    state: bytes | None
    tail: list[Entry]
    tail_bytes: int
    # Ids of the latest rows that the snapshot already stands for.
    seen: list[str]


class KeyLog:
    """The logs of one kind of key; a Redis that is away shows as redis.exceptions.RedisError."""

    def __init__(self, redis: Redis, kind: str) -> None:
        self._redis = redis
        self._kind = kind
        self._save = redis.register_script(_SAVE)
        self._delete = redis.register_script(_DELETE)

    @property
    def index(self) -> str:
        return f"ballast:{self._kind}:index"

    def _log(self, key: str) -> str:
        return f"ballast:{self._kind}:log:{key}"

    def _snapshot(self, key: str) -> str:
        return f"ballast:{self._kind}:snapshot:{key}"

    async def append(self, appends: Sequence[Append]) -> list[bool]:
        """Append one entry to each key; False where the key has moved on without us."""
        pipe = self._redis.pipeline(transaction=False)
        for each in appends:
            fields: Any = {EVENTS: each.events, IDS: orjson.dumps(each.rows)}
            pipe.xadd(self._log(each.key), fields, id=f"{each.number}-0")
        born = [each.key for each in appends if each.number == 1]
        if born:
            pipe.zadd(self.index, dict.fromkeys(born, 0))
        found = await pipe.execute(raise_on_error=False)
        return [_taken(result) for result in found[: len(appends)]]

    async def read(self, keys: Sequence[str]) -> list[Saved]:
        """Read each key's snapshot together with what came after it."""
        if not keys:
            return []
        # One transaction: a snapshot that is written between the two reads would leave a gap.
        pipe = self._redis.pipeline(transaction=True)
        for key in keys:
            pipe.hmget(self._snapshot(key), "n", "s", "i")
            pipe.xrange(self._log(key))
        found = await pipe.execute()
        return [_saved(*found[at : at + 2]) for at in range(0, len(found), 2)]

    async def save(self, key: str, number: int, state: bytes, rows: Sequence[str]) -> None:
        """Write the state as of an entry, and drop the entries up to it from the log."""
        ids = orjson.dumps(rows[-KEPT_IDS:])
        await self._save(keys=[self._snapshot(key), self._log(key)], args=[number, state, ids])

    async def delete(self, key: str, number: int) -> None:
        """Forget a key whose deletion was appended under this number."""
        names = [self._snapshot(key), self._log(key), self.index]
        await self._delete(keys=names, args=[number, DELETED_SECONDS, key])

    async def names(self, after: str, limit: int, prefix: str = "") -> list[str]:
        """List keys in their order, for paging through many."""
        start = f"({after}" if after >= prefix and after else f"[{prefix}"
        end = f"[{prefix}\xff" if prefix else "+"
        found: list[Any] = await self._redis.zrangebylex(self.index, start, end, start=0, num=limit)
        return [name.decode() for name in found]

    async def every_name(self) -> list[str]:
        """List all keys; for kinds that have hundreds, not hundreds of thousands."""
        found: list[Any] = await self._redis.zrange(self.index, 0, -1)
        return [name.decode() for name in found]

    async def tell(self, notices: Sequence[dict[str, Any]]) -> None:
        """Publish what listeners wait for; those who come later can read the latest ones."""
        pipe = self._redis.pipeline(transaction=False)
        for notice in notices:
            pipe.xadd(NOTICES, {"n": orjson.dumps(notice)}, maxlen=KEPT_NOTICES, approximate=True)
        await pipe.execute()

    async def count(self) -> int:
        return int(await self._redis.zcard(self.index))


def _taken(result: object) -> bool:
    if isinstance(result, ResponseError) and "equal or smaller" in str(result):
        return False
    if isinstance(result, Exception):
        raise result
    return True


def _saved(snapshot: list[bytes | None], entries: list[tuple[bytes, dict[bytes, bytes]]]) -> Saved:
    number, state, ids = snapshot
    latest = int(number) if number is not None else 0
    tail, size = list[Entry](), 0
    for name, fields in entries:
        if (at := int(name.split(b"-")[0])) > latest:
            tail.append(Entry(orjson.loads(fields[EVENTS]), orjson.loads(fields[IDS])))
            size, latest = size + len(fields[EVENTS]), at
    return Saved(latest, state or None, tail, size, orjson.loads(ids) if ids else [])
