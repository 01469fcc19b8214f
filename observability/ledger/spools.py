"""Whether a decision may wait in a spool: this node's by its files, others' by what they noted.

A decision is in a spool's file before it is acknowledged. Each node notes in Redis, every 5 s,
when it last saw that its spools hold nothing. So an id may be in the spool of a node that has noted
nothing since: its Redis is away, its spool is not empty yet, or it hangs or is dead.
"""

import asyncio
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from redis.asyncio import Redis

from observability.ledger.decision import time_of
from observability.ledger.spool import SUFFIX
from settings.redis_names import redis_name

MARK = "spools.id"
# An id is older than what is written down of it, by a request's time at most.
MARGIN_MS = 60_000
# No clock of a gateway's is so far ahead: nobody gave such an id yet.
AHEAD_MS = 3_600_000
# A node that is gone for a day with what it spooled is not waited for.
GONE_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class _Noted:
    """When a node last saw its spools empty, and when it last said anything."""

    empty_ms: int
    seen_ms: int


class Spools:
    """The spools of one node, in the folder that all its writers share, and those of the others."""

    def __init__(self, redis: Redis, folder: Path, clock: Callable[[], float]) -> None:
        self._redis = redis
        self._folder = folder
        self._clock = clock
        self._key = redis_name(redis, "ledger", "spools")
        self._mark: str | None = None
        self._empty_ms = 0
        # Notes that cannot be read, and when each was first found as it is.
        self._unreadable: dict[tuple[bytes, bytes], int] = {}

    async def note(self) -> None:
        """Note in Redis when nothing waited here; raises what an absent Redis raises."""
        if self._mark is None:
            self._mark = await asyncio.to_thread(_mark_of, self._folder)
        now_ms = self._now_ms()  # before the look: what comes after it is not seen
        if not await asyncio.to_thread(_waiting, self._folder):
            self._empty_ms = now_ms
        noted = _Noted(self._empty_ms, now_ms)
        await self._redis.hset(self._key, self._mark, orjson.dumps(asdict(noted)))

    async def why_waiting(self, decision_id: str) -> str | None:
        """Say why a decision that is nowhere else may be in a spool; none where it is in none.

        Raises what an absent Redis raises.
        """
        waiting = await asyncio.to_thread(_waiting, self._folder)
        if waiting:
            return f"entries wait for Redis in {waiting} spools of this node"
        made_ms, now_ms = time_of(decision_id), self._now_ms()
        if made_ms is None or made_ms > now_ms + AHEAD_MS:
            return None
        for noted in await self._of_others(now_ms):
            if noted.empty_ms < made_ms + MARGIN_MS:
                silent_s = (now_ms - noted.seen_ms) / 1000
                return f"it may wait in a spool of another node, last heard of {silent_s:.0f} s ago"
        return None

    async def leave(self) -> None:
        """Be waited for no longer: the node's last gateway ends, and nothing waits here."""
        if self._mark is not None and not await asyncio.to_thread(_waiting, self._folder):
            await self._redis.hdel(self._key, self._mark)

    async def _of_others(self, now_ms: int) -> list[_Noted]:
        found: dict[Any, Any] = await self._redis.hgetall(self._key)
        notes = {each: _read(each[1]) for each in found.items()}
        # The node of a note that cannot be read may hold anything, and speaks while it changes.
        self._unreadable = {
            each: self._unreadable.get(each, now_ms) for each, noted in notes.items() if not noted
        }
        nodes = {
            each[0].decode(): noted or _Noted(0, self._unreadable[each])
            for each, noted in notes.items()
        }
        gone = [mark for mark, noted in nodes.items() if now_ms - noted.seen_ms > GONE_MS]
        if gone:
            await self._redis.hdel(self._key, *gone)
        return [nodes[mark] for mark in nodes.keys() - {self._mark, *gone}]

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _read(noted: bytes) -> _Noted | None:
    """Read a note of whichever release, which may tell more; none where it does not tell this."""
    try:
        found = orjson.loads(noted)
        return _Noted(int(found["empty_ms"]), int(found["seen_ms"]))
    except (ValueError, TypeError, KeyError):
        return None


def _waiting(folder: Path) -> int:
    """Count the spools that hold something, be their writers alive or dead."""
    try:
        with os.scandir(folder) as found:
            return sum(each.name.endswith(SUFFIX) and _size(each) > 0 for each in found)
    except FileNotFoundError:  # nothing was ever spooled here
        return 0


def _size(file: "os.DirEntry[str]") -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # it was emptied this moment
        return 0


def _mark_of(folder: Path) -> str:
    """Read the folder's own mark, which stays when its node gets another name; or make one."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if not mark.exists():
        new = folder / f"{MARK}.{secrets.token_hex(8)}"
        new.write_text(secrets.token_hex(16))
        try:
            os.link(new, mark)
        except FileExistsError:  # another gateway was first
            pass
        finally:
            new.unlink()
    return mark.read_text()
