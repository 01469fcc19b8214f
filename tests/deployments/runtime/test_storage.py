import logging
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deployments.runtime.storage import (
    ALARM_FREE_BYTES,
    FULL_FREE_BYTES,
    GAUGES_SECONDS,
    LOOK_SECONDS,
    Storage,
    StorageWatch,
)
from observability.exposition import STALE_AFTER_S
from tests.redis_server import RedisServer

GB = 1024**3
ROOMY = {"disk_free": 500 * GB, "disk_total": 1000 * GB}


@pytest.mark.parametrize(
    ("used", "reasons", "full"), [(79, 0, False), (80, 1, False), (90, 1, True)]
)
def test_redis_is_told_of_at_four_fifths_and_full_at_nine_tenths(
    used: int, reasons: int, full: bool
) -> None:
    seen = Storage(redis_used=used * GB, redis_limit=100 * GB, **ROOMY)
    assert len(seen.reasons()) == reasons
    assert seen.full is full


@pytest.mark.parametrize(
    ("free", "total", "reasons", "full"),
    [
        (100 * GB, 1000 * GB, 0, False),  # a tenth of a large disk is room enough
        (ALARM_FREE_BYTES - 1, 100 * GB, 1, False),
        (FULL_FREE_BYTES - 1, 100 * GB, 1, True),
        (FULL_FREE_BYTES - 1, 2 * GB, 0, False),  # a small disk, half empty
    ],
)
def test_a_disk_is_full_by_its_share_and_in_bytes(
    free: int, total: int, reasons: int, full: bool
) -> None:
    seen = Storage(redis_used=0, redis_limit=GB, disk_free=free, disk_total=total)
    assert len(seen.reasons()) == reasons
    assert seen.full is full


async def test_it_reads_what_redis_uses_and_may_use(redis: Redis, tmp_path: Path) -> None:
    await redis.config_set("maxmemory", 64_000_000)
    watch = StorageWatch(redis, tmp_path / "not" / "there" / "yet")
    assert watch.refusal() is None
    await watch.look()
    assert watch.seen is not None
    assert watch.seen.redis_limit == 64_000_000
    assert 0 < watch.seen.redis_used < 64_000_000
    assert watch.seen.disk_free > 0


async def test_without_a_limit_the_machines_memory_is_the_limit(
    redis: Redis, tmp_path: Path
) -> None:
    watch = StorageWatch(redis, tmp_path)
    await watch.look()
    assert watch.seen is not None
    assert watch.seen.redis_limit > watch.seen.redis_used


async def test_the_alarm_is_logged_once_and_a_nearly_full_redis_refuses_new_states(
    redis: Redis, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = StorageWatch(redis, tmp_path)
    await watch.look()
    assert watch.seen is not None
    await redis.config_set("maxmemory", int(watch.seen.redis_used / 0.95))
    with caplog.at_level(logging.WARNING):
        await watch.look()
        await watch.look()
    assert len([each for each in caplog.records if "Storage is filling up" in each.message]) == 1
    said = watch.refusal()
    assert said is not None
    assert "BALLAST_REDIS_MEMORY_MB" in said
    await redis.config_set("maxmemory", 0)
    await watch.look()
    assert watch.refusal() is None


async def test_while_redis_is_away_what_was_seen_stays(
    redis: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    watch = StorageWatch(redis, tmp_path)
    await watch.look()
    seen = watch.seen
    redis_server.kill()
    await watch.look()
    assert watch.seen is seen


async def test_it_is_looked_at_often_only_where_something_is_decided_by_it(
    redis: Redis, tmp_path: Path
) -> None:
    watch = StorageWatch(redis, tmp_path)
    assert watch.pause_seconds() == GAUGES_SECONDS
    watch.decides = True
    assert watch.pause_seconds() == LOOK_SECONDS
    assert LOOK_SECONDS < GAUGES_SECONDS < STALE_AFTER_S
