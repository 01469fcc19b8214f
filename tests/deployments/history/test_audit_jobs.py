"""Audits as the history makes them: over a real archive, one at a time, and the latest kept."""

import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from deployments.history.audit_jobs import AuditJobs
from deployments.jobs.job import RESTARTED
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger import noted_heads
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.drain import Drain
from observability.ledger.writer import LedgerWriter, Timing
from observability.schema import create_tables
from tests.deployments.jobs.ending import ended
from tests.waiting import PATIENCE_SECONDS

PATIENT = Timing(timeout=PATIENCE_SECONDS)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedClickhouse]:
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        yield store


@pytest.fixture
async def jobs(redis: Redis, store: EmbeddedClickhouse, tmp_path: Path) -> AsyncIterator[AuditJobs]:
    """Give what audits an archive of six decisions in one chain."""
    ids = iter(DecisionIds(time.time, os.urandom).take(6))
    async with LedgerWriter(
        redis, writer="a", spool_dir=tmp_path / "spool", clock=time.time, timing=PATIENT
    ) as pen:
        for _ in range(3):
            two = [next(ids), next(ids)]
            await pen.append([Decision(each, orjson.dumps({"decision_id": each})) for each in two])
    await Drain(redis, store).step()
    await redis.delete("ballast:ledger")
    jobs = AuditJobs(redis, store, lambda: 17.0)
    yield jobs
    await jobs.close()


async def test_what_is_found_is_kept_and_one_that_goes_on_is_not_begun_again(
    jobs: AuditJobs, redis: Redis, store: EmbeddedClickhouse
) -> None:
    assert await jobs.get() is None
    begun = await jobs.begin()
    assert (begun.state, begun.asked_at) == ("running", 17.0)
    assert await jobs.begin() is begun
    found = await ended(jobs.get)
    assert (found.state, found.reason, found.ended_at) == ("done", None, 17.0)
    assert (found.whole, found.entries, found.rows, found.chains) == (True, 4, 6, 1)
    assert await jobs.begin() is not begun
    again = await ended(jobs.get)
    await jobs.close()  # once its end is kept
    assert await AuditJobs(redis, store, time.time).get() == again  # as after a restart


async def test_what_does_not_fit_is_named(jobs: AuditJobs, store: EmbeddedClickhouse) -> None:
    await jobs.begin()
    assert (await ended(jobs.get)).whole
    store.execute("ALTER TABLE ledger_entries DELETE WHERE seq = 3 SETTINGS mutations_sync = 1")
    await jobs.begin()
    found = await ended(jobs.get)
    assert (found.state, found.whole, found.fault_count) == ("done", False, 1)
    (fault,) = found.faults
    assert (fault.kind, fault.writer, fault.seq) == ("truncated", "a", 2)


async def test_an_audit_that_cannot_be_made_says_why(
    jobs: AuditJobs, store: EmbeddedClickhouse
) -> None:
    store.execute("DROP TABLE ledger_entries SYNC")
    await jobs.begin()
    found = await ended(jobs.get)
    assert (found.state, found.whole) == ("failed", False)
    assert "ledger_entries" in (found.reason or "")


async def test_an_audit_that_fails_over_what_nobody_thought_of_is_over(
    jobs: AuditJobs, redis: Redis
) -> None:
    """Whoever looks how far it is would look for ever."""
    await redis.set("ballast:ledger:heads", b"of another release")
    await jobs.begin()
    assert "JSONDecodeError" in ((await ended(jobs.get)).reason or "")
    await noted_heads.forget(redis)
    await jobs.begin()
    assert (await ended(jobs.get)).state == "done"


async def test_an_audit_ends_with_its_history(
    jobs: AuditJobs, redis: Redis, store: EmbeddedClickhouse
) -> None:
    begun = await jobs.begin()
    await jobs.close()
    assert (begun.state, begun.reason) == ("failed", RESTARTED)
    assert await AuditJobs(redis, store, time.time).get() == begun
    # It had not come to its end, or the heads were noted.
    assert await noted_heads.read(redis) == {}
