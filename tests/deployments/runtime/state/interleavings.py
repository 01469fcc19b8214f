"""A random interleaving of all that can happen to keyed state, and what must hold after it.

Clients with numbers of their own send rows, and removals, through two gateways to two or three
holders, which may be of three releases: the present one, the one before it with its own log, and
the next one, whose snapshots and events the others cannot read. Holders write snapshots, fail at a
row, hang while their gateway gives up, end in peace, and are killed. Redis forgets what it took of
late, as after a power cut; not where the earlier release runs, which cannot tell. A gateway sends
the rows of a holder that died to another; a client sends again what it had no answer to.

`python -m tests.deployments.runtime.state.interleavings --runs 10000 --seed 1` runs many and
prints what it ran; one that fails comes again with its seed: `--runs 1 --seed N`.
"""

import argparse
import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.state.cache import StateCacheLimits
from deployments.runtime.state.entries import Append, Saved
from deployments.runtime.state.log import KeyLog
from deployments.runtime.state.position import ANY_MARK
from deployments.runtime.state.service import KeyedService
from deployments.runtime.transport.call import Call, GivenUpError, current_call
from tests.deployments.runtime.state.earlier_log import EarlierKeyLog
from tests.deployments.runtime.state.forgetting import contents, go_back
from tests.deployments.runtime.state.journal import Journal, JournalHandler, LaterJournalHandler
from tests.deployments.runtime.state.lockstep import KilledError, Lockstep, Turn
from tests.redis_server import running

KEYS = ("a", "b", "c")
LIMITS = StateCacheLimits(snapshot_after_entries=2, idle_seconds=10, most_residents=2)
RELEASES = ("present", "earlier", "next")
# What a client hears that may try again.
AGAIN = ("unavailable", "unreadable")
TRIES = 6


@dataclass(frozen=True)
class Written:
    moment: int
    number: int
    rows: list[str]
    removes: bool


@dataclass
class Books:
    """What was written in truth, in its order, and what the clients were told."""

    clock: int = 0
    written: dict[str, list["Written"]] = field(default_factory=dict)
    acknowledged: dict[tuple[str, str], int] = field(default_factory=dict)
    # What was written and is not any more: whoever wrote it may say so yet.
    forgotten: set[tuple[str, str]] = field(default_factory=set)
    # What each key was, from which moment on.
    been: dict[str, list[tuple[int, list[str]]]] = field(default_factory=dict)
    happened: Counter[str] = field(default_factory=Counter)

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def note(self, append: Append, rows: list[str]) -> None:
        before = self.written.setdefault(append.key, [])
        if append.ends:  # it names those of earlier entries too, which shall still be known
            known = {row for entry in before for row in entry.rows}
            rows = [row for row in rows if row not in known]
        before.append(Written(self.tick(), append.number, rows, append.ends))
        self.forgotten -= {(append.key, row) for row in rows}
        self._note_state(append.key)

    def forget(self, since: int) -> None:
        """Take back what was written after that moment, and that it was acknowledged."""
        for key, entries in self.written.items():
            late = {(key, row) for each in entries if each.moment > since for row in each.rows}
            self.written[key] = [each for each in entries if each.moment <= since]
            self.forgotten |= late
            self.acknowledged = {
                told: when for told, when in self.acknowledged.items() if told not in late
            }
            self.tick()
            self._note_state(key)

    def _note_state(self, key: str) -> None:
        state: list[str] = []
        for entry in self.written[key]:
            state = [] if entry.removes else state + entry.rows
        self.been.setdefault(key, [(0, [])]).append((self.clock, state))

    def states(self, key: str, since: int) -> list[list[str]]:
        """Give what a key was at that moment, and became since."""
        found: list[list[str]] = [[]]
        for moment, state in self.been.get(key, []):
            found = [*found, state] if moment > since else [state]
        return found


def _stopping(log: KeyLog, steps: Lockstep, books: Books, rows_of: dict[str, str]) -> KeyLog:
    """Have a log stop before and after all that it does, and note what was taken."""
    append, read, save = log.append, log.read, log.save

    async def noted_append(appends: Sequence[Append]) -> list[bool | None]:
        await steps.pause()
        taken = await append(appends)
        for each, good in zip(appends, taken, strict=True):
            if good:
                books.note(each, [rows_of[row] for row in each.rows if row in rows_of])
        await steps.pause()
        return taken

    async def stopping_read(keys: Sequence[str]) -> list[Saved]:
        if keys:
            await steps.pause()
        return await read(keys)

    async def stopping_save(
        key: str, number: int, state: bytes, rows: Sequence[str], mark: str = ANY_MARK
    ) -> bool:
        await steps.pause()
        books.happened["snapshots"] += 1
        return await save(key, number, state, rows, mark)

    log.append, log.read, log.save = noted_append, stopping_read, stopping_save  # type: ignore[method-assign] # for a test
    return log


class Holder:
    """A replica's service, in a process that hangs and dies."""

    def __init__(self, world: "World", release: str, number: int) -> None:
        self.process = f"holder-{number}-{release}"
        self.alive = True
        handler = LaterJournalHandler() if release == "next" else JournalHandler()
        log = (EarlierKeyLog if release == "earlier" else KeyLog)(world.redis, handler.kind)
        stopping = _stopping(log, world.steps, world.books, world.rows_of)
        self.service: KeyedService[Journal] = KeyedService(
            handler, stopping, lambda: world.now, LIMITS
        )
        self.service._turn = Turn(world.steps.pause)  # type: ignore[assignment] # what stands for it
        self._steps = world.steps

    def ask(self, batch: Batch, call: Call) -> "asyncio.Task[Any]":
        async def answer() -> Prediction:
            current_call.set(call)
            if call.given_up:
                raise GivenUpError
            return await self.service.answer(batch, "journal", "1")

        return self._steps.start(self.process, answer())


class World:
    def __init__(self, redis: Redis, seed: int) -> None:
        self.redis = redis
        self.draw = random.Random(seed)  # noqa: S311 - it is to come again
        self.steps = Lockstep(self.draw)
        self.books = Books()
        self.rows_of: dict[str, str] = {}  # the row of each id
        self.now = 0.0
        self.releases = self.draw.choice(
            [("present",), ("present",), ("present", "earlier"), ("present", "next"), RELEASES]
        )
        self.happenings = ["tidy", "tidy", "hang", "hang", "kill", "end", "time"]
        if "earlier" not in self.releases:
            self.happenings.append("forget")
        self.holders = [self._holder(n) for n in range(self.draw.randint(2, 3))]
        self._ids = 0

    def _holder(self, number: int) -> Holder:
        return Holder(self, self.draw.choice(self.releases), number)

    async def run(self) -> None:
        clients = [self.steps.start("clients", self._client(name)) for name in "xyz"]
        chaos = self.steps.start("chaos", self._chaos())
        reader = self.steps.start("reader", self._reader())
        await self.steps.run()
        for task in (*clients, chaos, reader):
            task.result()
        await self._check()

    # What clients and gateways do.

    async def _client(self, name: str) -> None:
        number = 0
        for _ in range(self.draw.randint(2, 5)):
            rows = []
            for _ in range(self.draw.choice([1, 1, 2, 4])):
                rows.append((self.draw.choice(KEYS), f"{name}:{number}"))
                number += 1
            if self.draw.random() < 0.2:
                rows.append((self.draw.choice(KEYS), "remove"))
            if self.draw.random() < 0.1:
                rows.insert(0, (self.draw.choice(KEYS), "poison"))
            await self._send(rows)

    async def _reader(self) -> None:
        """Look at keys now and then: what is shown was so at some moment meanwhile."""
        for _ in range(6):
            for _ in range(self.draw.randint(1, 20)):
                await self.steps.pause()
            key, since = self.draw.choice(KEYS), self.books.tick()
            batch = Batch("journal", [key], {}, ["show"], [key], [self._id("show")])
            task = self.draw.choice(self.holders).ask(batch, Call())
            while not task.done():
                await self.steps.pause()
            if task.exception() is None and (shown := task.result().details[0]) is not None:
                self.books.happened["shown"] += 1
                rows, states = shown["data"]["rows"], self.books.states(key, since)
                assert rows in states, f"{key} was shown as {rows}, and was {states}"

    async def _send(self, rows: list[tuple[str, str]]) -> None:
        for _ in range(TRIES):
            refused = await self._through_a_gateway(rows)
            rows = [row for row in refused if row[1] not in ("poison", "remove")]
            if not rows:
                return
            self.books.happened["sent again by a client"] += 1

    async def _through_a_gateway(self, rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Ask holders until one answers or the gateway gives up; give the rows to send again."""
        keys, asks = [key for key, _ in rows], [ask for _, ask in rows]
        batch = Batch("journal", keys, {}, asks, keys, [self._id(ask) for ask in asks])
        while True:
            # Gateways need not agree who holds a key.
            holder = self.draw.choice(self.holders)
            call = Call()
            task = holder.ask(batch, call)
            while not task.done():
                await self.steps.pause()
                hangs = holder.process in self.steps.hanging
                if self.draw.random() < (0.2 if hangs else 0.005):
                    call.given_up = True
                    self.books.happened["given up"] += 1
                    return rows
            if isinstance(task.exception(), KilledError):
                self.books.happened["lost"] += 1
                if self.draw.random() < 0.3:
                    return rows  # its gateway died as well
                continue
            return self._heard(rows, task.result())

    def _id(self, row: str) -> str:
        self._ids += 1
        found = f"id-{self._ids}"
        if ":" in row:
            self.rows_of[found] = row
        return found

    def _heard(self, rows: list[tuple[str, str]], answer: Prediction) -> list[tuple[str, str]]:
        again = []
        for at, (key, row) in enumerate(rows):
            if (why := answer.refusals.get(at)) is None:
                if ":" in row:
                    self.books.acknowledged.setdefault((key, row), self.books.tick())
            elif why["code"] in AGAIN:
                self.books.happened[why["code"]] += 1
                again.append((key, row))
        return again

    # What happens to holders.

    async def _chaos(self) -> None:
        for _ in range(self.draw.randint(4, 12)):
            for _ in range(self.draw.randint(1, 12)):
                await self.steps.pause()
            which = self.draw.randrange(len(self.holders))
            what = self.draw.choice(self.happenings)
            self.books.happened[what] += 1
            await getattr(self, f"_{what}")(which)
        self.steps.hanging.clear()

    async def _tidy(self, which: int) -> None:
        holder = self.holders[which]
        self.steps.start(holder.process, holder.service.tidy())

    async def _hang(self, which: int) -> None:
        """Stop a process for a while, as SIGSTOP does."""
        process = self.holders[which].process
        self.steps.hanging.add(process)
        for _ in range(self.draw.randint(5, 60)):
            await self.steps.pause()
        self.steps.hanging.discard(process)

    async def _kill(self, which: int) -> None:
        self.steps.kill(self.holders[which].process)
        self._replace(which)

    async def _end(self, which: int) -> None:
        """End in peace: whoever waits is answered, and all is saved, while another takes over."""
        old = self.holders[which]
        self._replace(which)
        self.steps.start(old.process, old.service.close())

    async def _time(self, _: int) -> None:
        self.now += self.draw.choice([15.0, 40.0])  # idle states leave, ids are forgotten

    async def _forget(self, _: int) -> None:
        """Come back as it was a moment ago, as a Redis whose machine lost its power."""
        held, since = await contents(self.redis), self.books.clock
        for _ in range(self.draw.randint(1, 40)):
            await self.steps.pause()
        await go_back(self.redis, held)
        self.books.forget(since)

    def _replace(self, which: int) -> None:
        self.holders[which] = self._holder(100 + self.books.tick())

    # What must hold.

    async def _check(self) -> None:
        if "earlier" not in self.releases:  # what that release did is repaired by who reads it
            await self._check_names()
        reader: KeyedService[Journal] = KeyedService(
            LaterJournalHandler(), KeyLog(self.redis, "journal"), lambda: self.now
        )
        for key in KEYS:
            batch = Batch("journal", [key], {}, ["show"], [key], ["reader"])
            shown = (await reader.answer(batch, "", "")).details[0]
            assert shown is not None, f"{key} cannot be read"
            self._check_written(key, shown["data"]["rows"])
        await self._check_names()

    def _check_written(self, key: str, rows: list[str]) -> None:
        entries = self.books.written.get(key, [])
        numbers = [entry.number for entry in entries]
        assert numbers == list(range(1, len(numbers) + 1)), f"{key} was forked: {numbers}"
        lives: list[list[str]] = [[]]
        moments: dict[str, list[int]] = {}
        for entry in entries:
            lives[-1] += entry.rows
            for row in entry.rows:
                moments.setdefault(row, []).append(entry.moment)
            if entry.removes:
                lives.append([])
        assert rows == lives[-1], f"{key} is {rows}, and {lives[-1]} was written"
        for life in lives:
            twice = [row for row, times in Counter(life).items() if times > 1]
            assert not twice, f"{key} counted {twice} twice"
        for (of, row), told in self.books.acknowledged.items():
            if of == key:
                known = row in moments or (key, row) in self.books.forgotten
                assert known, f"{key} lost {row}, which was acknowledged"
                late = [moment for moment in moments.get(row, ()) if moment > told]
                assert not late, f"{key} counted {row} again after it was acknowledged"

    async def _check_names(self) -> None:
        log = KeyLog(self.redis, "journal")
        living = [
            key
            for key in KEYS
            if (entries := self.books.written.get(key)) and not entries[-1].removes
        ]
        assert await log.every_name() == living, "what lives is listed, and nothing else"
        for key in KEYS:
            for name in (log._log(key), log._snapshot(key)):
                assert await self.redis.pttl(name) < 0, f"{name} expires"


async def run(redis: Redis, seed: int) -> Counter[str]:
    """Run the interleaving of a seed; give how often what happened."""
    await redis.flushdb()
    world = World(redis, seed)
    try:
        await world.run()
    except AssertionError as failure:
        raise AssertionError(f"seed {seed}: {failure}") from failure
    world.books.happened["acknowledged"] = len(world.books.acknowledged)
    world.books.happened["removed"] = sum(
        each.removes for entries in world.books.written.values() for each in entries
    )
    return world.books.happened


async def run_many(redis: Redis, first: int, runs: int) -> Counter[str]:
    happened: Counter[str] = Counter()
    for seed in range(first, first + runs):
        happened += await run(redis, seed)
    return happened


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    logging.disable(logging.CRITICAL)
    with running() as server:
        redis, began = server.patient_client(), time.monotonic()
        happened = await run_many(redis, given.seed, given.runs)
        await redis.aclose()
    took = time.monotonic() - began
    print(f"{given.runs} interleavings from seed {given.seed} on, in {took:.0f} s:")  # noqa: T201 - its report
    print(", ".join(f"{count} {what}" for what, count in sorted(happened.items())))  # noqa: T201 - same


if __name__ == "__main__":
    asyncio.run(main())
