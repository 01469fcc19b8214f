"""Logs as a source, driven as any other is, with rotations and kills at any place."""

import math
import os
import shutil
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.telemetry.followed import Followed, Stretch
from features.errors import SourceAwayError, SourceRefusedError
from features.sources.breaker import Breaker
from features.sources.logs.config import LogRules
from features.sources.logs.follow import Positions
from features.sources.logs.source import PAST_SECONDS, LogSource
from features.sources.source import Complaint, Gathered

CADENCE, LATENESS = 60, 5
NOW = 1_800_000_000.0


class Kept:
    """Positions as Redis would hold them; a save may be lost with a crash of it."""

    def __init__(self) -> None:
        self.saved: bytes | None = None
        self.saves = 0
        self.loses = False

    async def load(self) -> Positions | None:
        return None if self.saved is None else Positions.from_json(self.saved)

    async def save(self, positions: Positions) -> None:
        self.saves += 1
        if not self.loses:
            self.saved = positions.to_json()


class World:
    """A folder of logs, a clock, a store, and a platform that is killed now and then."""

    def __init__(self, folder: Path, pattern: str = "app.log*", **rules: Any) -> None:
        self.log = folder / "app.log"
        self.rules = LogRules.model_validate(
            {
                "paths": [str(folder / pattern)],
                "entity_field": "service",
                "time": {"field": "at", "format": "s"},
                "latency": {"field": "ms"},
            }
            | rules
        )
        self.now = NOW
        self.kept = Kept()
        self.rows: dict[tuple[str, int], float] = {}
        self.given = 0
        self.events: list[Any] = []
        self.complaints: list[Complaint] = []
        self.dies: str = ""
        self.written: Counter[tuple[str, int]] = Counter()
        self.rotations = self.lines = 0
        self.begin()

    def begin(self) -> None:
        """Begin anew, as after a kill: only the store and the positions are left."""
        self.source = LogSource(
            "app",
            self.rules,
            self.kept,
            lambda: self.now,
            cadence_seconds=CADENCE,
            lateness_seconds=LATENESS,
            history_days=1,
            past_mb=64,
        )
        self.followed = Followed(
            "app",
            self.source,
            self,
            Breaker(lambda: self.now, lambda: 0.5),
            history_days=1,
            wall=lambda: self.now,
        )

    async def stretch(self) -> Stretch:
        times = [ts for _, ts in self.rows]
        return Stretch(min(times), max(times)) if times else Stretch()

    async def answered(self) -> None: ...

    async def failed(self, reason: str, breaker: Breaker) -> None:
        raise AssertionError(f"{reason}: {breaker.state}")

    async def take_in(self, gathered: Gathered, *, newest: bool) -> None:
        assert isinstance(newest, bool)
        if self.dies == "before the rows are kept":
            raise KilledError
        found = gathered.telemetry
        for entity, ts, rate in zip(
            found.entity.tolist(), found.ts.tolist(), found.request_rate.tolist(), strict=True
        ):
            assert (entity, ts) not in self.rows, "a row came twice"
            self.rows[entity, ts] = rate * CADENCE
        self.events += gathered.events
        self.complaints += gathered.complaints
        if self.dies == "after the rows are kept":
            raise KilledError

    async def work(self) -> None:
        """Do all there is to do now."""
        while await self.followed.step():
            continue

    async def kill(self, where: str) -> None:
        self.dies = where
        with suppress(KilledError):
            await self.work()
        self.dies = ""
        await self.source.close()
        self.begin()

    def write(self, n: int, *, ago: float = 0.0, **fields: Any) -> None:
        at = self.now - ago
        with self.log.open("ab") as file:
            for each in range(n):
                self.lines += 1  # two equal lines are a file and its copy, to who sees no more
                line = {"at": at, "n": self.lines, "service": "orders", "ms": each, **fields}
                file.write(orjson.dumps(line) + b"\n")
        entity = str(fields.get("service", "orders"))
        self.written[entity, int(at // CADENCE) * CADENCE] += n

    def write_ago(self, n: int, ago: float) -> None:
        self.write(n, ago=ago)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def lose(self) -> None:
        """Let saves be lost from now on, or no longer."""
        self.kept.loses = not self.kept.loses

    def rename(self) -> None:
        self.rotations += 1
        if self.log.exists():
            self.log.rename(self.log.with_name(f"app.log.{self.rotations}"))

    def copy_and_truncate(self) -> None:
        self.rotations += 1
        if self.log.exists():
            shutil.copy(self.log, self.log.with_name(f"app.log.{self.rotations}"))
            os.truncate(self.log, 0)

    def counted(self) -> dict[tuple[str, int], float]:
        return {key: round(each, 6) for key, each in self.rows.items()}


class KilledError(Exception):
    pass


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def pass_minutes(world: World, minutes: int, *, lines: int = 3) -> None:
    for _ in range(minutes * 4):
        world.write(lines)
        world.now += CADENCE / 4
        await world.work()


async def finish(world: World) -> None:
    for _ in range(12):
        world.now += CADENCE / 4
        await world.work()


OPERATIONS = st.one_of(
    st.tuples(st.just("write_ago"), st.integers(1, 4), st.sampled_from([0.0, 1.0, 4.0])),
    st.tuples(st.just("wait"), st.sampled_from([3.0, 20.0, 61.0, 200.0])),
    st.tuples(st.sampled_from(["rename", "copy_and_truncate", "work", "lose"])),
    st.tuples(
        st.just("kill"),
        st.sampled_from(["before the rows are kept", "after the rows are kept", "now"]),
    ),
)


async def settle(world: World) -> None:
    """Let the past be over, so that positions are kept."""
    await pass_minutes(world, 1)
    world.now += PAST_SECONDS
    await pass_minutes(world, 1)
    assert world.kept.saves > 0


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    past=st.integers(0, 4),
    settled=st.booleans(),
    pattern=st.sampled_from(["app.log*", "*"]),
    operations=st.lists(OPERATIONS, max_size=30),
)
async def test_each_line_is_counted_once(
    *, past: int, settled: bool, pattern: str, operations: list[tuple[Any, ...]]
) -> None:
    """Whatever is written, rotated, read and killed, in whichever order."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder), pattern)
        for minute in range(past):
            world.write(2, ago=60.0 * (past + 1 - minute))
        world.write(1)
        if settled:
            await settle(world)
        for what, *how in operations:
            done = getattr(world, what)(*how)
            if done is not None:
                await done
        await finish(world)
        await world.source.close()
        assert world.counted() == dict(world.written)
        assert not [each for each in world.complaints if each.fault != "late"]


async def test_positions_are_kept_once_the_past_is(world: World) -> None:
    world.write(5, ago=600)
    await pass_minutes(world, 2)
    assert world.kept.saves == 0
    world.now += PAST_SECONDS
    await pass_minutes(world, 2)
    assert world.kept.saves > 0
    await world.kill("now")
    world.log.rename(world.log.with_name("moved"))
    await pass_minutes(world, 2)
    await finish(world)
    assert world.counted() == dict(world.written)


async def test_a_late_line_is_complained_of_and_counted_nowhere(world: World) -> None:
    await pass_minutes(world, 2)
    in_time = world.written.copy()
    world.write(2, ago=100)
    world.written = in_time
    await pass_minutes(world, 1)
    await finish(world)
    late = [each for each in world.complaints if each.fault == "late"]
    assert sum(each.count for each in late) == 2
    assert world.counted() == dict(world.written)


async def test_a_line_of_the_future_and_one_that_is_broken_are_complained_of(
    world: World,
) -> None:
    await pass_minutes(world, 1)
    with world.log.open("ab") as file:
        file.write(b'{"at": 4000000000, "service": "orders", "ms": 1}\nbroken\n')
    await pass_minutes(world, 2)
    await finish(world)
    assert {(each.fault, each.count) for each in world.complaints} == {
        ("clock skew", 1),
        ("schema", 1),
    }
    assert world.counted() == dict(world.written)


async def test_restarts_of_the_users_processes_are_events(tmp_path: Path) -> None:
    where = [{"field": "msg", "equals": "started"}]
    world = World(tmp_path, patterns=[{"kind": "restart", "where": where}])
    await pass_minutes(world, 1)
    at = world.now
    world.write(2, msg="started")
    await pass_minutes(world, 2)
    assert [(each.kind, each.time, each.times) for each in world.events] == [("restart", at, 2)]


async def test_an_interval_that_a_large_file_is_cut_in_is_not_given(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.source._past_bytes = 3000
    for minute in range(10, 0, -1):
        world.write(10, ago=60.0 * minute)
    await world.work()
    assert 3 < len(world.rows) < 8
    assert set(world.counted().values()) == {10}


async def test_where_no_file_lies_the_source_is_away(world: World) -> None:
    with pytest.raises(SourceAwayError, match="no file lies under"):
        await world.source.range(int(NOW) - 60, int(NOW))
    world.write(1)
    assert await world.source.range(int(NOW) - 60, int(NOW)) is not None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_where_no_file_may_be_read_the_source_refuses(world: World) -> None:
    world.write(1)
    world.log.chmod(0)
    with pytest.raises(SourceRefusedError, match="may not be read"):
        await world.source.range(int(NOW) - 60, int(NOW))


async def test_a_field_that_names_each_request_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("features.sources.logs.source.MOST_TALLIES", 3)
    for n in range(10):
        world.write(1, service=f"request {n}")
    start = int(NOW) // CADENCE * CADENCE
    world.now += 2 * CADENCE
    found = await world.source.range(start, start + CADENCE)
    assert len(found.telemetry) == 3
    assert [(each.fault, each.count) for each in found.complaints] == [("schema", 7)]
    assert not math.isnan(found.telemetry.p50_ms[0])
