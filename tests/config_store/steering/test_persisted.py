"""A deploy that is cut off anywhere in Redis's own file is a legal state, and says what to do."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.asyncio import Redis

from config_store.steering.commands import (
    Actor,
    Advance,
    Approve,
    Command,
    Deploy,
    Judge,
    RollBack,
    SetSettings,
    Validate,
    Validated,
)
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import SteeringState, Strategy, Verdict
from config_store.steering.status import describe, problems
from config_store.steering.store import SteeringStore
from tests.config_store.simulation.invariants import check_state, is_tree, way_back
from tests.config_store.simulation.real_redis import contents_of
from tests.config_store.simulation.steps import check_change
from tests.config_store.steering.people import ADA, BO, CY, NOW
from tests.config_store.steering.stores import document, founded
from tests.redis_server import RedisServer

FILE = "appendonly.aof"
SHARES = (0.1, 1.0)
GOOD = Verdict.GOOD
WORDS, LENGTH = re.compile(rb"\*(\d+)\r\n"), re.compile(rb"\$(\d+)\r\n")


class Change(NamedTuple):
    """One state that was stored, and what led to it."""

    state: SteeringState
    commands: tuple[Command, ...]
    by: Actor
    events: int  # on the timeline with it


class Deployment:
    """Brings a version into force by all steps there are, and takes it back."""

    def __init__(self, redis: Redis, store: SteeringStore) -> None:
        self._redis = redis
        self._store = store
        self.changes: list[Change] = []

    async def run(self) -> None:
        await self._store.found(CY, NOW)
        await self._note((), CY)
        await self._make(CY, SetSettings(SteeringSettings(approvals_needed=1)))
        life = await self._store.draft(document(2), "m", ADA, NOW + 15)
        await self._note((), ADA)
        await self._make(ADA, Validate(2))
        await self._make(ADA, Validated(2, life.content_hash))
        await self._make(BO, Approve(2, life.content_hash))
        await self._make(ADA, Deploy(2, Strategy.CANARY, "r", 1, shares=SHARES))
        await self._make(ADA, Judge("r", 0, GOOD))
        await self._make(ADA, Advance("r", 0))
        await self._make(ADA, Judge("r", 1, GOOD), Advance("r", 1))
        await self._make(ADA, RollBack("slow", after=2))

    async def _make(self, by: Actor, *commands: Command) -> None:
        await self._store.change(commands, by, NOW + 10 * (len(self.changes) + 1))
        await self._note(commands, by)

    async def _note(self, commands: tuple[Command, ...], by: Actor) -> None:
        state, contents = await self._store.read(), await contents_of(self._redis)
        self.changes.append(Change(state, commands, by, len(contents.events)))


def ends(log: bytes) -> Iterator[tuple[int, bytes]]:
    """Give where each command of the file ends, and its name."""
    at = 0
    while at < len(log):
        words = WORDS.match(log, at)
        assert words is not None, log[at : at + 40]
        at, found = words.end(), []
        for _ in range(int(words[1])):
            length = LENGTH.match(log, at)
            assert length is not None, log[at : at + 40]
            begin, at = length.end(), length.end() + int(length[1]) + 2
            found.append(log[begin : at - 2])
        yield at, found[0].upper()


@pytest.fixture
def second() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="bl") as folder:
        server = RedisServer(Path(folder))
        yield server
        server.kill()


async def test_every_end_of_the_file_that_redis_writes_is_a_legal_state(
    redis: Redis, redis_server: RedisServer, second: RedisServer
) -> None:
    deployment = Deployment(redis, await founded(redis))
    await deployment.run()
    redis_server.kill()
    log = (redis_server.folder / FILE).read_bytes()
    cuts = [at for at, _ in ends(log)]
    assert cuts[-1] == len(log)
    assert len(cuts) > 4 * len(deployment.changes)  # each change is several commands there
    # A write may be torn too: where a change is complete but for its last byte, it was not made.
    cuts += [at - 1 for at, name in ends(log) if name == b"EXEC"]
    found = [await found_after(second, log[:cut], deployment.changes) for cut in sorted(cuts)]
    stored = [each for each in found if each is not None]
    assert stored == sorted(stored)
    assert set(stored) == set(range(len(deployment.changes)))


async def found_after(server: RedisServer, log: bytes, changes: Sequence[Change]) -> int | None:
    """Start Redis with so much of its file; tell which of the states is there, if one is."""
    (server.folder / FILE).write_bytes(log)
    server.start()
    try:
        client = server.patient_client()
        async with client:
            if not await client.exists(SteeringStore(client).key):
                return None
            return await held_against(client, changes)
    finally:
        server.kill()


async def held_against(client: Redis, changes: Sequence[Change]) -> int:
    """Hold what is stored against the invariants, and tell which of the states it is."""
    state, contents = await SteeringStore(client).read(), await contents_of(client)
    which = [each.state.revision for each in changes].index(state.revision)
    change = changes[which]
    assert state == change.state
    assert len(contents.events) == change.events
    check_state(state, contents, change.state.versions)
    way_back(state)
    before = changes[which - 1] if which else None
    is_tree(None if before is None else before.state, state)
    if before is not None:
        told = contents.told(since=before.events)
        check_change(before.state, state, told, change.commands, change.by)
    assert problems(state) == ()
    assert len(describe(state, NOW)) >= 1
    return which
