"""Where records of jobs are kept: the latest in Redis, and each beside its files on the disk."""

from pathlib import Path

import pytest
from pydantic import BaseModel
from redis.asyncio import Redis

from deployments.jobs.job import State
from deployments.jobs.kept import RECORD, JobsInFolders, JobsInRedis


class Dated(BaseModel):
    asked_at: float
    state: State = "done"
    reason: str | None = None
    ended_at: float | None = None


async def test_the_latest_asked_for_stay_in_redis(redis: Redis) -> None:
    kept = JobsInRedis(redis, "jobs", Dated, 2)
    await redis.hset("jobs", "older release", b'{"unknown": true}')
    for key, asked_at in (("b", 2.0), ("a", 3.0), ("c", 1.0)):
        await kept.save(key, Dated(asked_at=asked_at))
    assert await kept.get("c") is None  # the last one that was saved, and the first asked for
    assert await kept.get("a") == Dated(asked_at=3.0)
    assert await kept.get("b") == Dated(asked_at=2.0)
    assert await redis.hlen("jobs") == 2
    await kept.forget("a")
    assert await kept.get("a") is None


async def test_what_another_release_wrote_is_as_if_it_were_not_there(
    redis: Redis, tmp_path: Path
) -> None:
    await redis.hset("jobs", "a", b'{"unknown": true}')
    assert await JobsInRedis(redis, "jobs", Dated, 2).get("a") is None
    folders = JobsInFolders(tmp_path, Dated)
    await folders.save("b", Dated(asked_at=1.0))
    folders.of("a").mkdir()
    (folders.of("a") / RECORD).write_text("{")
    assert await folders.get("a") is None
    assert await folders.all() == [Dated(asked_at=1.0)]


async def test_a_job_and_its_files_are_forgotten_together(tmp_path: Path) -> None:
    kept = JobsInFolders(tmp_path / "home", Dated)
    assert await kept.all() == []
    await kept.save("a", Dated(asked_at=1.0))
    (kept.of("a") / "made").write_text("rows")
    assert kept.of("a").stat().st_mode & 0o077 == 0
    assert [each.name for each in kept.of("a").glob("*.part")] == []
    await kept.forget("a")
    assert await kept.get("a") is None
    assert not kept.of("a").exists()


@pytest.mark.parametrize("key", ["", "..", "../other", "a/b", "a\n", "a" * 65])
async def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        await JobsInFolders(tmp_path, Dated).get(key)
