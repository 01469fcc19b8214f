"""A key's log in Redis: entries numbered from 1, each appended once and in order, and snapshots.

The number of an entry is its id in a Redis stream. An append is refused unless the latest entry is
the one that its writer knows (position.py): where somebody else has appended meanwhile, and where
Redis has forgotten what it knows. Whoever is refused knows that its state is not what the log
tells: two replicas that both believe they hold a key never fork it.

A snapshot stands for the entries up to its number, which are trimmed. With it go the ids of the
rows taken of late: by them a request that is sent again after a replica's death is known.

A deletion takes a number like any entry. What stays of the key is an emptied log and a snapshot
without a state: they carry the number on, so that no late holder can append to what is gone or save
it. The key's name goes from the index to the deleted ones, with the time at which the rest may go
too. Redis is never told to expire a log or a snapshot: a key that begins anew goes on using them.
"""

import logging
from collections.abc import Sequence
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deployments.runtime.state import scripts
from deployments.runtime.state.entries import KEPT_IDS, Append, Saved, pieces, saved, size_of
from deployments.runtime.state.position import ANY_MARK, Position
from settings.redis_names import redis_name

KEPT_NOTICES = 10_000
REPAIRED_AT_ONCE = 1_000


log = logging.getLogger(__name__)


def notices_key(redis: Redis) -> str:
    """Name the one stream for all kinds: whoever listens to many keys reads one."""
    return redis_name(redis, "notices")


class KeyLog:
    """The logs of one kind of key; a Redis that is away shows as redis.exceptions.RedisError."""

    def __init__(self, redis: Redis, kind: str) -> None:
        self._redis = redis
        self._kind = kind
        self._append = redis.register_script(scripts.APPEND).sha
        self._save = redis.register_script(scripts.SAVE)
        self._repair = redis.register_script(scripts.REPAIR)
        self._clear = redis.register_script(scripts.CLEAR)

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def index(self) -> str:
        return redis_name(self._redis, self._kind, "index")

    @property
    def deleted(self) -> str:
        """Name the deleted keys, each with the time at which what is left of it may go."""
        return redis_name(self._redis, self._kind, "deleted")

    def _log(self, key: str) -> str:
        return redis_name(self._redis, self._kind, "log", key)

    def _snapshot(self, key: str) -> str:
        return redis_name(self._redis, self._kind, "snapshot", key)

    def names_of(self, key: str) -> tuple[str, str]:
        """Name a key's log and its snapshot, for a script that asks for their position."""
        return self._log(key), self._snapshot(key)

    def _names(self, key: str) -> list[str]:
        return [*self.names_of(key), self.index, self.deleted]

    async def append(self, appends: Sequence[Append]) -> list[bool | None]:
        """Append one entry to each key, or to some of them: each has its own outcome.

        False where the key has moved on without us; None where Redis refused, because it is full
        or for another reason of its own: nothing was appended to that key.
        """
        pipe: Any = self._redis.pipeline(transaction=False)
        # Whole, and once: a Redis that was restarted has forgotten it.
        pipe.script_load(scripts.APPEND)
        plain = [at for at, each in enumerate(appends) if not (each.ends or each.begins)]
        cuts = list(pieces(plain, [size_of(each) for each in appends]))
        for piece in cuts:
            self._append_plain(pipe, [appends[at] for at in piece])
        others = [at for at, each in enumerate(appends) if each.ends or each.begins]
        for each in (appends[at] for at in others):
            if each.ends:
                kept = scripts.DELETED_SECONDS
                arguments = (each.number, each.after, each.ids, each.mark, kept)
                self._eval(pipe, scripts.END, each.key, *arguments)
            else:
                self._begin(pipe, each)
        _, *answers = await pipe.execute(raise_on_error=False)
        results = dict(zip(others, answers[len(cuts) :], strict=True))
        for piece, answer in zip(cuts, answers, strict=False):
            # One that failed as a whole did nothing, and says so for each.
            each_answer = answer if isinstance(answer, list) else [answer] * len(piece)
            results |= zip(piece, each_answer, strict=True)
        taken = [_taken(results[at]) for at in range(len(appends))]
        if None in taken:
            refused, why = taken.count(None), results[taken.index(None)]
            log.warning("Redis refused %d of %d entries: %s", refused, len(taken), why)
        return taken

    def _append_plain(self, pipe: Any, appends: Sequence[Append]) -> None:
        names = [name for each in appends for name in self.names_of(each.key)]
        entries = [
            part for each in appends for part in (each.number, each.after, each.events, each.ids)
        ]
        pipe.evalsha(self._append, len(names), *names, *entries)

    def _begin(self, pipe: Any, each: Append) -> None:
        entry = (each.number, each.after, each.events, each.ids)
        if (place := each.place) is None:
            self._eval(pipe, scripts.BEGIN, each.key, *entry)
        else:
            arguments = (*entry, place.name, place.owner)
            counted = (place.owners, place.owned)
            self._eval(pipe, scripts.BEGIN, each.key, *arguments, more=counted)

    def _eval(
        self, pipe: Any, script: str, key: str, *arguments: Any, more: Sequence[str] = ()
    ) -> None:
        """Put a script into a pipeline, whole: a Redis that was restarted has forgotten it."""
        names = [*self._names(key), *more]
        pipe.eval(script, len(names), *names, key, *arguments)

    async def read(self, keys: Sequence[str]) -> list[Saved]:
        """Read each key's snapshot together with what came after it."""
        if not keys:
            return []
        # The log first: a snapshot that is written between the two reads stands for entries that
        # were read already, while after the snapshot it would leave a gap. A transaction would do
        # too, but a full Redis takes none, and nothing could be deleted any more.
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.xrange(self._log(key))
            pipe.hmget(self._snapshot(key), "n", "s", "i", "m")
            pipe.zscore(self.index, key)
            pipe.zscore(self.deleted, key)
            pipe.pttl(self._log(key))
            pipe.pttl(self._snapshot(key))
        found = await pipe.execute()
        read = []
        for key, at in zip(keys, range(0, len(found), 6), strict=True):
            entries, snapshot, listed, deleted, *expiries = found[at : at + 6]
            read.append(saved(snapshot, entries))
            lives = not read[-1].empty
            if (
                lives != (listed is not None)
                or (lives and deleted is not None)
                or max(expiries) >= 0
            ):
                await self.repair(key)
        return read

    async def positions(self, keys: Sequence[str]) -> list[Position]:
        """Say where each key's log stands, as `read` would."""
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.eval(scripts.STANDS, 2, *self.names_of(key))
        return [Position(int(number), mark.decode()) for number, mark in await pipe.execute()]

    async def repair(self, key: str) -> None:
        """Undo what releases did that deleted by expiry: what lives is listed and stays."""
        await self._repair(keys=self._names(key), args=[key, scripts.DELETED_SECONDS])

    async def repair_all(self) -> int:
        """Repair the keys that nobody asks for before Redis would drop them; give how many."""
        prefix, repaired, page = self._log(""), 0, list[str]()
        async for name in self._redis.scan_iter(match=f"{prefix}*", count=1000):
            page.append(name.decode().removeprefix(prefix))
            if len(page) == REPAIRED_AT_ONCE:
                repaired += await self._repair_expiring(page)
                page = []
        return repaired + await self._repair_expiring(page)

    async def _repair_expiring(self, keys: Sequence[str]) -> int:
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.pttl(self._log(key))
        found = await pipe.execute()
        expiring = [key for key, left in zip(keys, found, strict=True) if left >= 0]
        for key in expiring:
            await self.repair(key)
        return len(expiring)

    async def clear_deleted(self, most: int) -> int:
        """Remove what is left of keys deleted long ago; give how many there were.

        A key that Redis refuses to clear stays, and holds up none of those behind it.
        """
        cleared, refused, due = 0, dict[str, ResponseError](), True
        while due and cleared < most:
            start = len(refused)  # they stay in front
            end = start + most - cleared - 1
            found: list[Any] = await self._redis.zrange(self.deleted, start, end)
            due = bool(found)
            for name in found:
                key = name.decode()
                try:
                    due = bool(await self._clear(keys=self._names(key), args=[key]))
                except ResponseError as why:
                    refused[key] = why
                    continue
                if not due:
                    break  # those after it are to stay longer
                cleared += 1
        if refused:
            key, first = next(iter(refused.items()))
            log.warning(
                "%d deleted keys cannot be removed, among them %r: %s", len(refused), key, first
            )
        return cleared

    async def save(
        self, key: str, number: int, state: bytes, rows: Sequence[str], mark: str = ANY_MARK
    ) -> bool:
        """Write the state as of an entry, and drop the entries up to it from the log.

        False where a later one stands there, the key was deleted, or Redis forgot the entry: the
        state is not what the log tells.
        """
        ids = orjson.dumps(rows[-KEPT_IDS:])
        names = [self._log(key), self._snapshot(key)]
        return bool(await self._save(keys=names, args=[number, state, ids, mark]))

    async def names(self, after: str, limit: int, prefix: str = "") -> list[str]:
        """List keys in their order, for paging through many."""
        start = f"({after}" if after >= prefix and after else f"[{prefix}"
        end = b"[" + prefix.encode() + b"\xff" if prefix else b"+"  # above whatever follows it
        found: list[Any] = await self._redis.zrangebylex(self.index, start, end, start=0, num=limit)
        return [name.decode() for name in found]

    async def every_name(self) -> list[str]:
        """List all keys; for kinds that have hundreds, not hundreds of thousands."""
        found: list[Any] = await self._redis.zrange(self.index, 0, -1)
        return [name.decode() for name in found]

    async def listed(self, keys: Sequence[str]) -> list[bool]:
        """Tell which of these keys there are."""
        if not keys:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for key in keys:
            pipe.zscore(self.index, key)
        return [score is not None for score in await pipe.execute()]

    async def tell(self, notices: Sequence[dict[str, Any]]) -> None:
        """Publish what listeners wait for; those who come later can read the latest ones."""
        pipe = self._redis.pipeline(transaction=False)
        stream = notices_key(self._redis)
        for notice in notices:
            fields: Any = {"n": orjson.dumps(notice)}
            pipe.xadd(stream, fields, maxlen=KEPT_NOTICES, approximate=True)
        await pipe.execute()

    async def count(self) -> int:
        return int(await self._redis.zcard(self.index))


def _taken(result: object) -> bool | None:
    if isinstance(result, ResponseError):
        return False if "equal or smaller" in str(result) else None
    if isinstance(result, Exception):
        raise result
    return result != 0  # a script's, where the key has moved on
