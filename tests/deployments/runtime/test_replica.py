import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

import deployments.runtime.replica
from config_store.document import BanditsConfig
from config_store.errors import NothingLoadedError
from config_store.running import RunningVersions
from config_store.shipped import default_document
from config_store.store import ConfigStore, Version
from deployments.runtime import own_cluster
from deployments.runtime.replica import Replica
from observability.snapshots import gather, retire
from tests.deploying import deployed
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

NOW = datetime(2026, 3, 2, tzinfo=UTC)
Make = Callable[..., Replica]


class Rounds:
    """Counts how often a replica was about to publish."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1

    async def more(self, count: int) -> None:
        """Wait for so many from now on."""
        wanted = self.count + count
        await until(lambda: self.count >= wanted)


@pytest.fixture
def make(redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setattr(
        deployments.runtime.replica, "write_logs", lambda *_: None
    )  # pytest keeps them
    monkeypatch.setattr(deployments.runtime.replica, "PUBLISH_SECONDS", 0.02)

    def make(
        role: str,
        on_config: Callable[[Version], None],
        count: Callable[[], None] = lambda: None,
    ) -> Replica:
        replica = Replica(role)
        replica.follow(on_config)
        replica.before_snapshot(count)
        return replica

    return make


async def bootstrap(redis: Redis) -> None:
    await ConfigStore(redis).bootstrap(default_document(), "ada", "a start", NOW)


async def change(redis: Redis) -> None:
    """Bring a second version into force."""
    changed = default_document().model_copy(update={"bandits": BanditsConfig(canary_cap=0.05)})
    await deployed(redis, changed)


async def test_it_opens_with_the_active_configuration_and_follows_it(
    make: Make, redis: Redis
) -> None:
    await bootstrap(redis)
    seen: list[int] = []
    replica = make("tail", lambda version: seen.append(version.number))
    assert (await replica.config_once()).number == 1
    version = await replica.open()
    assert (version.number, seen) == (1, [1])
    await change(redis)
    await until(lambda: seen == [1, 2])
    await replica.close()


async def test_one_that_answers_is_known_to_whoever_waits_for_every_replica(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments.runtime.replica, "PUBLISH_SECONDS", 100.0)
    await bootstrap(redis)
    replica = make("tail", lambda _: None)
    await replica.open()
    (known,) = await RunningVersions(redis).all()
    assert (known.role, known.version) == ("tail", 1)
    await replica.close()
    assert await RunningVersions(redis).all() == []


async def test_metrics_are_taken_after_work_and_seldom_without(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = 10**9
    monkeypatch.setattr(deployments.runtime.replica, "QUIET_TURNS", many)
    await bootstrap(redis)
    taken = 0

    def count() -> None:
        nonlocal taken
        taken += 1

    replica = make("tail", _ignore, count)
    await replica.open()
    # While a snapshot is on its way they stand at the many.
    await until(lambda: taken > 0 and 0 < replica._quiet_turns < many)
    quiet, reported = taken, replica._quiet_turns
    await until(lambda: replica._quiet_turns > reported + 5)  # it still tells what it goes by
    assert taken == quiet
    replica.note_work()
    await until(lambda: taken == quiet + 1)
    await change(redis)
    await until(lambda: taken > quiet + 1)
    monkeypatch.setattr(deployments.runtime.replica, "QUIET_TURNS", 2)
    rounds = taken + 3
    await until(lambda: taken > rounds)
    await replica.close()


async def test_it_signs_with_each_report_until_it_is_told_to_end(make: Make, redis: Redis) -> None:
    await bootstrap(redis)
    replica = make("tail", _ignore)
    await replica.open()
    replica.sign(("ballast:replicas", "tail 10.0.0.1:4001"))
    seen = set[Any]()

    async def look() -> int:
        seen.update(await redis.hvals("ballast:replicas"))
        return len(seen)

    async with asyncio.timeout(PATIENCE_SECONDS):
        while await look() < 3:  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)
    await replica.end_signing()
    await redis.delete("ballast:replicas")
    reported = replica._quiet_turns
    await until(lambda: replica._quiet_turns != reported)
    await replica._report_version()
    assert await redis.exists("ballast:replicas") == 0
    await replica.close()


async def test_one_whose_counts_fail_reports_all_the_same(make: Make, redis: Redis) -> None:
    await bootstrap(redis)
    replica = make("tail", _ignore, _fail)
    await replica.open()
    replica.sign(("ballast:replicas", "tail 10.0.0.1:4001"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await redis.hlen("ballast:replicas"):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)
    await replica.close()


async def test_one_that_was_taken_for_dead_is_waited_for_by_its_new_name_alone(
    make: Make, redis: Redis
) -> None:
    await bootstrap(redis)
    rounds = Rounds()
    replica = make("tail", _ignore, rounds)
    await replica.open()
    name = replica._publisher.name
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await retire(redis, name, (await gather(redis)).get(name, b"")):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)
    await until(lambda: replica._publisher.name != name)
    await rounds.more(2)
    known = [each.replica for each in await RunningVersions(redis).all()]
    assert known == [replica._publisher.name]
    await replica.close()


async def test_who_follows_late_is_given_the_version_that_is_active_and_each_later_one(
    make: Make, redis: Redis
) -> None:
    await bootstrap(redis)
    replica = make("tail", _ignore)
    await replica.open()
    seen: list[int] = []
    replica.follow(lambda version: seen.append(version.number))
    assert seen == [1]
    await change(redis)
    await until(lambda: seen == [1, 2])
    await replica.close()


async def test_a_newer_version_that_comes_while_it_opens_is_what_it_opens_with(
    make: Make, redis: Redis
) -> None:
    """Its notice comes once: who went back to the older one would stay there."""
    await bootstrap(redis)
    replica = make("tail", _ignore)
    look, begun = replica.storage.look, False

    async def look_as_a_version_comes() -> None:
        nonlocal begun
        await look()
        await until(lambda: replica.config.value is not None)
        if not begun:
            begun = True
            await change(redis)
        await until(lambda: _number(replica.config.value) == 2)

    replica.storage.look = look_as_a_version_comes  # type: ignore[method-assign] # slow this once
    version = await replica.open()
    await replica.close()
    assert version.number == 2


async def test_its_metrics_are_published_under_a_name_of_their_own(
    make: Make, redis: Redis
) -> None:
    await bootstrap(redis)
    rounds = Rounds()
    replicas = [make("tail", _ignore, rounds) for _ in range(2)]
    for replica in replicas:
        await replica.open()
    await rounds.more(4)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(await gather(redis)) < len(replicas):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.005)
    assert len(await gather(redis)) == len(replicas)
    for replica in replicas:
        await replica.close()
        assert replica.metrics.registry.get_sample_value("config_version") == 1.0


async def test_publishing_outlives_an_outage(
    make: Make, redis: Redis, redis_server: RedisServer
) -> None:
    await bootstrap(redis)
    rounds = Rounds()
    replica = make("tail", _ignore, rounds)
    await replica.open()
    redis_server.kill()
    await rounds.more(4)
    redis_server.start()
    await redis.flushall()
    await rounds.more(3)
    assert len(await gather(redis)) == 1
    await replica.close()


@pytest.mark.parametrize("profile", ["fast", "plain"])
async def test_only_where_batches_come_past_ray_its_main_thread_rests(
    make: Make, redis: Redis, monkeypatch: pytest.MonkeyPatch, profile: str
) -> None:
    rests: list[str] = []
    monkeypatch.setenv("BALLAST_PROFILE", profile)
    monkeypatch.setattr(own_cluster, "let_main_thread_rest", lambda: rests.append(profile))
    await bootstrap(redis)
    replica = make("tail", _ignore)
    await replica.open()
    await replica.close()
    assert rests == (["fast"] if profile == "fast" else [])


async def test_closing_ends_every_task_and_every_connection(make: Make, redis: Redis) -> None:
    await bootstrap(redis)
    for _ in range(20):  # close at any moment, in the midst of a command too
        before = asyncio.all_tasks()
        replica = make("tail", _ignore)
        await replica.open()
        await asyncio.sleep(0.005)
        assert len(asyncio.all_tasks()) > len(before)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await replica.close()
        assert asyncio.all_tasks() == before


async def test_without_a_configuration_it_does_not_open_and_can_still_be_closed(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments.runtime.replica, "FIRST_CONFIG_SECONDS", 0.05)
    before = asyncio.all_tasks()
    replica = make("tail", _ignore)
    with pytest.raises(NothingLoadedError):
        await replica.open()
    await replica.close()
    assert asyncio.all_tasks() == before


async def test_one_that_was_never_opened_can_be_closed(make: Make) -> None:
    await make("tail", _ignore).close()


def _number(version: Version | None) -> int:
    return 0 if version is None else version.number


def _fail() -> None:
    raise ValueError("planted")


def _ignore(_: Version) -> None:
    """Go by no configuration."""
