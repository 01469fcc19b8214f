"""Replays as the history makes them: over a real archive, bounded, cancelled and kept."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.shipped import default_document
from deployments.api.impact import ImpactAsked, ImpactShown
from deployments.history import impact_jobs, impact_pieces
from deployments.history.impact_jobs import ImpactJobs
from deployments.jobs.job import RESTARTED
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.schema import create_tables
from tests.deploying import deployed, drafted
from tests.deployments.impact.decisions import BEGUN, drawn, stricter
from tests.deployments.jobs.ending import ended
from tests.observability.ledger.chains import first_entry
from tests.waiting import PATIENCE_SECONDS, until

ROWS = 600
Make = Callable[..., ImpactJobs]


def asked(version: int, rows: int = 10_000) -> ImpactAsked:
    return ImpactAsked(version, "olga", BEGUN - 60, BEGUN + 60, rows)


@pytest.fixture
async def make(redis: Redis, tmp_path: Path) -> AsyncIterator[Make]:
    """Give what makes a history's replays, over decisions of version 1 and a draft of two more."""
    await deployed(redis, default_document())
    for most in (20.0, 12.0):
        await drafted(redis, stricter(default_document(), most, 0.9))
    found = drawn(ROWS, seed=4)
    entry = first_entry(found.decisions, int(BEGUN * 1000))
    opened = list[ImpactJobs]()
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        Archive(store).add([entry])

        def made(**limits: Any) -> ImpactJobs:
            opened.append(ImpactJobs(redis, store, tmp_path, **limits))
            return opened[-1]

        yield made
        for each in opened:
            await each.close()


async def over(jobs: ImpactJobs, number: int) -> ImpactShown:
    return await ended(lambda: jobs.get(number))


async def test_what_is_found_is_kept_and_a_sample_says_how_sure_it_is(make: Make) -> None:
    jobs = make()
    begun = await jobs.begin(asked(2))
    assert begun is not None
    assert (await jobs.begin(asked(2))) is begun  # it goes on already
    whole = await over(jobs, 2)
    assert (whole.state, whole.read, whole.drawn) == ("done", ROWS, ROWS), whole.reason
    assert whole.report is not None
    assert (whole.report.whole, whole.report.left_out) == (True, [])
    share = whole.report.changed.share
    assert whole.report.changed.low == share == whole.report.changed.high
    assert await make().get(2) == whole  # as after a restart
    await jobs.begin(asked(2, rows=150))
    part = await over(jobs, 2)
    assert part.report is not None
    assert (part.report.whole, part.read, part.report.recorded) == (False, 150, ROWS)
    assert "simple random sample" in part.report.sample
    changed = part.report.changed
    assert changed.low < share < changed.high
    assert changed.about == round(changed.share * ROWS)


async def test_its_time_ends_it_with_what_was_read_until_then(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impact_jobs, "PIECE", 50)
    ticks = itertools.count()
    jobs = make(monotonic=lambda: float(next(ticks)), most_seconds=3)
    await jobs.begin(asked(2))
    found = await over(jobs, 2)
    assert (found.state, found.read, found.drawn) == ("done", 150, ROWS)
    assert found.report is not None
    assert "150 of 600 drawn came to their turn" in found.report.sample
    assert found.report.changed.low < found.report.changed.share < found.report.changed.high


async def test_one_goes_on_at_a_time_and_each_can_be_cancelled(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impact_jobs, "PIECE", 10)
    monkeypatch.setattr(impact_jobs, "MOST_WAITING", 2)
    jobs = make()
    first, second = await jobs.begin(asked(2)), await jobs.begin(asked(3))
    assert first is not None
    assert second is not None
    assert await jobs.begin(asked(1)) is None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not first.read:  # noqa: ASYNC110 - the replay tells nobody
            await asyncio.sleep(0.01)
    assert second.state == "queued"
    assert await jobs.cancel(3) is second
    assert (second.state, second.report) == ("cancelled", None)
    await jobs.cancel(2)
    ended = await over(jobs, 2)
    assert ended.state == "cancelled"
    assert ended.report is not None
    assert 0 < ended.report.read == ended.read < ROWS
    assert (await jobs.cancel(2)) == ended
    assert await jobs.get(2) is None  # what is over is forgotten by the same word


async def test_one_that_a_restart_ended_says_so_and_few_are_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impact_jobs, "MOST_KEPT", 1)
    jobs = make()
    await jobs.begin(asked(2))
    await jobs.close()
    found = await make().get(2)
    assert found is not None
    assert (found.state, found.reason) == ("failed", RESTARTED)
    later = make()
    await later.begin(asked(3))
    await over(later, 3)
    assert await later.get(2) is None


async def test_an_older_version_is_kept_too_and_nothing_stays_in_memory(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impact_jobs, "MOST_KEPT", 1)
    now = itertools.count(1000.0)
    jobs = make(wall=lambda: next(now))
    for number in (3, 2):
        await jobs.begin(asked(number, rows=50))
        found = await over(jobs, number)
        assert found.state == "done", found.reason
        assert await jobs.get(number) == found
    assert await jobs.get(3) is None
    await until(lambda: not jobs._queue.going())


async def test_large_rows_are_read_a_few_at_a_time(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(impact_pieces, "MOST_BYTES", 10_000)
    sizes, read = list[int](), Archive.rows

    def noted(self: Archive, ids: Sequence[str]) -> dict[str, bytes]:
        found = read(self, ids)
        sizes.append(sum(map(len, found.values())))
        return found

    monkeypatch.setattr(Archive, "rows", noted)
    jobs = make()
    await jobs.begin(asked(2, rows=100))
    found = await over(jobs, 2)
    assert (found.state, found.read) == ("done", 100), found.reason
    assert max(sizes[1:]) <= 2 * 10_000
