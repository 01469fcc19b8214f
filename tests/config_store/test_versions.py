import asyncio
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.errors import VersionAwayError
from config_store.shipped import default_document
from config_store.store import ConfigStore, Version
from config_store.versions import LiveVersions
from tests.deploying import deployed
from tests.redis_server import RedisServer

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PATIENT = 30.0


class Compiler:
    """Makes of a version its refresh time, and notes what it was given."""

    def __init__(self) -> None:
        self.compiled: list[int] = []
        self.refuses: set[int] = set()

    def __call__(self, version: Version) -> float:
        if version.number in self.refuses:
            raise ValueError("this release cannot go by it")
        self.compiled.append(version.number)
        return version.document.features.refresh_seconds


class Bench:
    """A store with versions, and what a replica holds of them."""

    def __init__(self, redis: Redis, most: int = 8) -> None:
        self._redis = redis
        self.store = ConfigStore(redis)
        self.compiler = Compiler()
        self.reads: list[int] = []
        self.live = LiveVersions(self._read, self.compiler, most)

    async def _read(self, number: int) -> Version:
        self.reads.append(number)
        return await self.store.get(number)

    async def make(self, count: int) -> list[Version]:
        """Make versions whose refresh time is their number."""
        versions = []
        for number in range(1, count + 1):
            features = FeatureConfig(refresh_seconds=number)
            document = default_document().model_copy(update={"features": features})
            assert await deployed(self._redis, document) == number
            versions.append(await self.store.get(number))
        return versions

    async def get(self, version: Version, seconds: float = PATIENT) -> float:
        live = await self.live.get(version.number, version.config_hash, seconds)
        assert (live.number, live.config_hash) == (version.number, version.config_hash)
        return live.compiled

    def numbers(self) -> set[int]:
        return {live.number for live in self.live.alive()}


@pytest.fixture
def bench(redis: Redis) -> Bench:
    return Bench(redis)


async def test_two_versions_are_alive_at_once_and_each_is_compiled_once(bench: Bench) -> None:
    one, two = await bench.make(2)
    bench.live.activate(one)
    bench.live.activate(two)
    for _ in range(3):
        assert [await bench.get(each) for each in (one, two)] == [1.0, 2.0]
    assert bench.compiler.compiled == [1, 2]
    assert bench.reads == []
    assert bench.live.active.number == 2


async def test_a_version_whose_notice_is_late_or_long_past_is_read_from_the_store(
    bench: Bench,
) -> None:
    one, two, three = await bench.make(3)
    bench.live.activate(two)
    assert [await bench.get(each) for each in (three, one, two)] == [3.0, 1.0, 2.0]
    assert bench.reads == [3, 1]
    assert bench.live.active.number == 2  # what is no batch's work goes by the notices alone
    bench.live.activate(three)
    assert bench.compiler.compiled == [2, 3, 1]


async def test_batches_that_name_a_version_at_a_time_share_one_read(bench: Bench) -> None:
    (one,) = await bench.make(1)
    assert await asyncio.gather(*(bench.get(one) for _ in range(20))) == [1.0] * 20
    assert bench.reads == [1]
    assert bench.compiler.compiled == [1]


async def test_what_is_in_memory_needs_no_redis(bench: Bench, redis_server: RedisServer) -> None:
    one, two, three = await bench.make(3)
    bench.live.activate(one)
    bench.live.activate(two)
    redis_server.kill()
    assert [await bench.get(each) for each in (one, two)] == [1.0, 2.0]
    with pytest.raises(VersionAwayError, match="version 3 is not loaded"):
        await bench.get(three)
    redis_server.start()
    assert await bench.get(three) == 3.0


async def test_a_redis_that_hangs_is_waited_for_within_the_batchs_budget(
    bench: Bench, redis_server: RedisServer
) -> None:
    (one,) = await bench.make(1)
    redis_server.freeze()
    try:
        with pytest.raises(VersionAwayError, match="in time"):
            await bench.get(one, 0.05)
    finally:
        redis_server.thaw()
    assert await bench.get(one) == 1.0


async def test_a_number_that_was_given_out_twice_is_no_version(bench: Bench) -> None:
    """A Redis that lost its last second counts on from before it."""
    one, two = await bench.make(2)
    lost = Version(2, one.config_hash, "ada", "it is lost", NOW, one.document)
    bench.live.activate(lost)
    assert await bench.get(two) == 2.0
    with pytest.raises(VersionAwayError, match="this number belongs to another document"):
        await bench.get(lost)
    assert await bench.get(two) == 2.0


@pytest.mark.parametrize("number", [0, 7])
async def test_a_number_that_nobody_gave_out_is_no_version(bench: Bench, number: int) -> None:
    await bench.make(1)
    with pytest.raises(VersionAwayError, match=f"no configuration version {number}"):
        await bench.live.get(number, "", PATIENT)


async def test_a_version_that_cannot_be_compiled_changes_nothing(bench: Bench) -> None:
    one, two = await bench.make(2)
    bench.live.activate(one)
    bench.compiler.refuses = {2}
    with pytest.raises(ValueError, match="cannot go by it"):
        bench.live.activate(two)
    assert bench.live.active.number == 1
    assert await bench.get(one) == 1.0
    with pytest.raises(ValueError, match="cannot go by it"):
        await bench.get(two)
    assert bench.numbers() == {1}


async def test_those_used_last_stay_and_the_active_one_always_does(redis: Redis) -> None:
    bench = Bench(redis, most=3)
    versions = await bench.make(6)
    bench.live.activate(versions[0])
    for version in versions[1:]:
        await bench.get(version)
    assert bench.numbers() == {1, 5, 6}
    await bench.get(versions[4])
    await bench.get(versions[1])
    assert bench.numbers() == {1, 2, 5}
    bench.live.activate(versions[3])
    assert bench.live.active.number == 4
    for version in (versions[2], versions[5]):
        await bench.get(version)
    assert bench.numbers() == {3, 4, 6}


async def test_without_any_notice_none_is_active(bench: Bench) -> None:
    with pytest.raises(VersionAwayError, match="no version has been loaded yet"):
        _ = bench.live.active
