"""Where a writer's entries go: the Redis stream, or the spool file while Redis is away.

After an outage Redis is given back what it forgot, then the spool in order, and only then do
entries take the direct way again. What may have been applied already is sent again: readers tell
entries apart by their hash.

What Redis acknowledged last it may have forgotten, if it was killed. So the copies of that go into
the spool first: this process may be killed too before Redis is back.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import ParamSpec, TypeVar

from redis.exceptions import ResponseError

from observability.errors import SpoolError, SpoolTakenError
from observability.ledger.spool import SUFFIX, Spool
from observability.ledger.stream import BULK_TIMEOUT_S, LedgerStream, Run
from observability.ledger.unconfirmed import Copy, Unconfirmed
from settings.redis_connection import REDIS_AWAY

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CHUNK_BYTES = 1024 * 1024
# So little is left for while nobody may append: a slow link brings it in the time of a request.
LAST_BYTES = 64 * 1024
# Redis writes to its file after each turn, and holds that back for two seconds at most.
WRITTEN_AGAIN_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """The spool of one writer, by its name, in the folder that all writers of a node share."""

    folder: Path
    writer: str

    @property
    def path(self) -> Path:
        return self.folder / f"{self.writer}{SUFFIX}"

    def of_others(self) -> list[Path]:
        return [path for path in sorted(self.folder.glob(f"*{SUFFIX}")) if path != self.path]


class LedgerOutput:
    """Takes entries in order; `put` returns when each is where no kill can take it."""

    def __init__(self, stream: LedgerStream, spool: SpoolFile, keep_s: float) -> None:
        self._stream = stream
        self._spool_file = spool
        self._spool: Spool | None = None
        self._unconfirmed = Unconfirmed(keep_s)
        self._lock = asyncio.Lock()
        # One thread, so that what is done to a file is done in order and off the event loop.
        self._disk = ThreadPoolExecutor(1, "ledger-spool")
        self._run_id: str | None = None
        # Whether Redis may have forgotten copies that the spool does not hold yet.
        self._doubtful = False
        # The copies that the spool begins with.
        self._copies: list[Copy] = []
        self.away = False
        self.wake = asyncio.Event()  # for whoever tends: there is something to do

    @property
    def spooled(self) -> int:
        """Count what waits in the spool; copies of what Redis once took are not counted."""
        return 0 if self._spool is None else self._spool.count - len(self._copies)

    async def put(self, entries: list[bytes], within_s: float | None = None) -> list[str | None]:
        """Answer the stream's ids, none for an entry that is in the spool. Raises SpoolError.

        Redis is waited for that long, then the spool takes the entries.
        """
        async with self._lock:
            ids = [] if self.away else await self._send(entries, within_s)
            rest = entries[len(ids) :]
            if rest:
                await self._to_spool(rest)
        return [*ids, *[None for _ in rest]]

    async def recover(self) -> None:
        """See whether Redis is back; if so bring it up to date and go back to normal."""
        try:
            asked_at, run = _now(), await self._stream.run()
            await self._restore()
            await self._drop_copies()
            self._confirm(run, asked_at)
            await self._empty(self._spool, leave=LAST_BYTES)
            async with self._lock:  # no entry is on its way now, so none can overtake
                await self._empty(self._spool, leave=0, in_bulk=False)
                if self._spool is not None:
                    await self._on_disk(self._spool.mend)
                self.away = False
        except REDIS_AWAY as error:
            log.debug("Redis still cannot be reached: %r", error)
            async with self._lock:
                # One that refuses is there, and forgot nothing of what it took.
                self._doubtful |= not isinstance(error, ResponseError)
                await self._to_spool([])
            return
        log.info("Redis can be reached again and has every spooled entry")

    async def check_restart(self) -> None:
        """Notice a Redis that is away, or was killed and came back between two batches.

        The latter shows by its run id. One that does not take back what it forgot is away too.
        """
        try:
            await self._look()
        except REDIS_AWAY as error:
            async with self._lock:
                self._lose(error)
                await self._to_spool([])

    async def sweep(self) -> None:
        """Empty the spools of writers that died: their answers were given, so they must arrive.

        One that cannot be opened or read holds up no other; raises SpoolError in the end.
        """
        failures: list[str] = []
        for path in await self._on_disk(self._spool_file.of_others):
            try:
                spool = await self._on_disk(Spool.adopt, path)
                if spool is not None:
                    await self._send_home(spool, path)
            except SpoolTakenError:
                continue
            except SpoolError as error:
                failures.append(str(error))
        if failures:
            raise SpoolError("; ".join(failures))

    async def close(self) -> None:
        if self._spool is not None:
            await self._on_disk(self._spool.close)
        self._disk.shutdown()

    async def _send(self, entries: list[bytes], within_s: float | None) -> list[str]:
        sent = await self._stream.send(entries, within_s)
        self._unconfirmed.add(_now(), sent.ids, entries[: len(sent.ids)])
        if sent.error is not None:
            self._lose(sent.error)
        return sent.ids

    def _lose(self, error: Exception) -> None:
        self.away = self._doubtful = True
        self.wake.set()
        log.warning("Redis cannot be reached, and decisions are written to the spool: %r", error)

    async def _to_spool(self, entries: list[bytes]) -> None:
        copies = [copy for copy in self._unconfirmed if self._doubtful and not copy.spooled]
        if not copies and not entries:
            return
        if self._spool is None:
            self._spool = await self._on_disk(Spool.create, self._spool_file.path)
        first = self._spool.count == 0
        await self._on_disk(self._spool.append, [*(copy.entry for copy in copies), *entries])
        self._doubtful = False
        for copy in copies:
            copy.spooled = True
        if first:
            self._copies = copies

    async def _drop_copies(self) -> None:
        """Take out of the spool the copies that Redis is known to hold: they are no news to it."""
        copies, self._copies = self._copies, []
        # What was forgotten since, because Redis had it for good, was not looked for.
        looked_for = set(self._unconfirmed)
        known = list(takewhile(looked_for.__contains__, copies))
        if known and self._spool is not None:
            await self._on_disk(self._spool.drop, [copy.entry for copy in known])
            for copy in known:
                copy.spooled = False

    async def _look(self) -> None:
        """Give a Redis that was restarted what it forgot; forget what another one has for good."""
        asked_at, run = _now(), await self._stream.run()
        if run.id != self._run_id:
            await self._restore()
        self._confirm(run, asked_at)

    def _confirm(self, run: Run, asked_at: float) -> None:
        if run.id == self._run_id:
            self._unconfirmed.confirm(asked_at, written=run.written)
        self._run_id = run.id

    async def _restore(self) -> None:
        restored = await self._unconfirmed.restore(self._stream, _now())
        if restored:
            log.warning("Redis had lost %d acknowledged entries: they were sent again", restored)

    async def _empty(self, spool: Spool | None, *, leave: int, in_bulk: bool = True) -> None:
        """Send the spool's entries in order until no more than `leave` bytes are left.

        In bulk a chunk may take longer than a request, and Redis is waited for where it takes more
        than it writes down.
        """
        while spool is not None and spool.count:
            entries = await self._on_disk(spool.peek, CHUNK_BYTES)
            if sum(map(len, entries)) <= leave:
                return
            if in_bulk:
                await self._wait_for_room()
            sent = await self._stream.send(entries, BULK_TIMEOUT_S if in_bulk else None)
            done = entries[: len(sent.ids)]
            self._unconfirmed.add(_now(), sent.ids, done)
            if spool is self._spool:
                self._copies = []  # it no longer begins with all of them
            await self._on_disk(spool.drop, done)
            if sent.error is not None:
                raise sent.error

    async def _wait_for_room(self) -> None:
        while self._unconfirmed.full:
            await self._look()
            if self._unconfirmed.full:
                await asyncio.sleep(WRITTEN_AGAIN_SECONDS)

    async def _send_home(self, spool: Spool, path: Path) -> None:
        count = spool.count
        try:
            await self._empty(spool, leave=0)
        finally:
            await self._on_disk(spool.close)
        log.info("%d entries spooled by %s, which died, are now in the ledger", count, path.stem)

    async def _on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, lambda: work(*args, **kwargs))


def _now() -> float:
    return asyncio.get_running_loop().time()
