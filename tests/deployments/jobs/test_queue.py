"""Jobs of one kind: one at a time, bounded, cancelled, and told of after their process ended."""

import asyncio
import threading
from pathlib import Path

import pytest
from pydantic import BaseModel

from deployments.jobs.job import RESTARTED, JobFailedError, State, is_over
from deployments.jobs.kept import JobsInFolders
from deployments.jobs.queue import JobQueue, Work
from tests.waiting import PATIENCE_SECONDS, until


class Counted(BaseModel):
    state: State = "queued"
    reason: str | None = None
    asked_at: float = 0.0
    ended_at: float | None = None
    done: int = 0


class Hand:
    """Works on jobs: each waits until it is let go, or wished to end."""

    def __init__(self) -> None:
        self.begun = list[str]()
        self.at_work = self.most_at_work = 0
        self.let_go = asyncio.Event()

    def work(self, key: str, job: Counted) -> Work:
        async def do(end: threading.Event) -> None:
            self.begun.append(key)
            self.at_work += 1
            self.most_at_work = max(self.most_at_work, self.at_work)
            try:
                await until(lambda: self.let_go.is_set() or end.is_set())
                job.done += 1
            finally:
                self.at_work -= 1

        return do


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue[Counted]:
    return queue_in(tmp_path)


def queue_in(folder: Path, most: int = 3) -> JobQueue[Counted]:
    kept = JobsInFolders(folder / "jobs", Counted)
    return JobQueue("The count", kept, lambda: 7.0, most, expected=(ValueError,))


async def begin(queue: JobQueue[Counted], hand: Hand, *keys: str) -> list[Counted]:
    begun = list[Counted]()
    for key in keys:
        job = Counted()
        assert await queue.begin(key, job, hand.work(key, job)) is job
        begun.append(job)
    return begun


async def all_over(queue: JobQueue[Counted]) -> None:
    await until(lambda: not queue.going())


async def test_one_is_done_at_a_time_in_the_order_of_asking(
    queue: JobQueue[Counted], hand: Hand
) -> None:
    jobs = await begin(queue, hand, "c", "a", "b")
    assert [each.state for each in jobs] == ["running", "queued", "queued"]
    hand.let_go.set()
    await all_over(queue)
    assert (hand.begun, hand.most_at_work) == (["c", "a", "b"], 1)
    for key, job in zip("cab", jobs, strict=True):
        assert (job.state, job.reason, job.ended_at, job.done) == ("done", None, 7.0, 1)
        assert await queue.get(key) == job


async def test_no_more_wait_than_may_and_one_that_goes_on_is_not_begun_again(
    queue: JobQueue[Counted], hand: Hand
) -> None:
    first, *_ = await begin(queue, hand, "a", "b", "c")
    again = Counted()
    assert await queue.begin("d", again, hand.work("d", again)) is None
    assert await queue.begin("a", again, hand.work("a", again)) is first
    assert await queue.get("d") is None
    hand.let_go.set()
    await all_over(queue)
    assert hand.begun == ["a", "b", "c"]
    assert again.state == "queued"


class SlowlyKept(JobsInFolders[Counted]):
    """Waits before it keeps how a job ended."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Counted)
        self.let_go = asyncio.Event()

    async def save(self, key: str, job: Counted) -> None:
        if is_over(job):
            await self.let_go.wait()
        await super().save(key, job)


async def test_one_whose_end_is_being_kept_is_begun_anew_after_that(
    hand: Hand, tmp_path: Path
) -> None:
    kept = SlowlyKept(tmp_path)
    queue = JobQueue("The count", kept, lambda: 7.0, 3)
    hand.let_go.set()
    (first,) = await begin(queue, hand, "a")
    await until(lambda: first.ended_at is not None)
    again = Counted()
    beginning = asyncio.create_task(queue.begin("a", again, hand.work("a", again)))
    await asyncio.sleep(0)
    assert not beginning.done()
    kept.let_go.set()
    assert await beginning is again
    await all_over(queue)
    assert hand.begun == ["a", "a"]
    assert await queue.get("a") == again


async def test_one_that_is_done_is_kept_as_done_though_the_end_comes_meanwhile(
    hand: Hand, tmp_path: Path
) -> None:
    kept = SlowlyKept(tmp_path)
    queue = JobQueue("The count", kept, lambda: 7.0, 3)
    hand.let_go.set()
    (job,) = await begin(queue, hand, "a")
    await until(lambda: job.ended_at is not None)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(0)
    kept.let_go.set()
    await closing
    assert await kept.get("a") == job
    assert job.state == "done"


async def test_one_that_waits_is_cancelled_at_once_and_never_begun(
    queue: JobQueue[Counted], hand: Hand
) -> None:
    running, waiting = await begin(queue, hand, "a", "b")
    assert await queue.cancel("b") is waiting
    assert (waiting.state, waiting.reason, waiting.ended_at) == ("cancelled", None, 7.0)
    assert running.state == "running"
    hand.let_go.set()
    await all_over(queue)
    assert (running.state, hand.begun) == ("done", ["a"])
    assert await queue.get("b") == waiting


async def test_one_that_is_cancelled_keeps_what_it_found_and_is_then_forgotten(
    queue: JobQueue[Counted], hand: Hand
) -> None:
    (job,) = await begin(queue, hand, "a")
    assert await queue.cancel("a") is job
    assert (job.state, job.done) == ("cancelled", 1)
    assert await queue.cancel("a") == job
    assert await queue.get("a") is None
    assert await queue.cancel("a") is None


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (JobFailedError("two rows differ"), "two rows differ"),
        (ValueError("a server is away"), "ValueError: a server is away"),
        (ZeroDivisionError("a fault of ours"), "ZeroDivisionError: a fault of ours"),
    ],
)
async def test_one_that_fails_says_why_and_the_next_one_is_done(
    queue: JobQueue[Counted], hand: Hand, raised: Exception, reason: str
) -> None:
    async def fail(_: threading.Event) -> None:
        raise raised

    hand.let_go.set()
    failed = Counted()
    await queue.begin("a", failed, fail)
    (other,) = await begin(queue, hand, "b")
    await all_over(queue)
    assert (failed.state, failed.reason) == ("failed", reason)
    assert other.state == "done"


async def test_those_that_an_end_interrupts_are_told_to_have_failed(
    queue: JobQueue[Counted], hand: Hand, tmp_path: Path
) -> None:
    jobs = await begin(queue, hand, "a", "b")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await queue.close()
    assert [(each.state, each.reason) for each in jobs] == [("failed", RESTARTED)] * 2
    assert hand.begun == ["a"]
    after = queue_in(tmp_path)
    for key, job in zip("ab", jobs, strict=True):
        assert await after.get(key) == job


async def test_one_whose_process_died_is_told_to_have_failed(
    queue: JobQueue[Counted], tmp_path: Path
) -> None:
    await JobsInFolders(tmp_path / "jobs", Counted).save("a", Counted(state="running", done=4))
    found = await queue.get("a")
    assert found is not None
    assert (found.state, found.reason, found.done) == ("failed", RESTARTED, 4)


async def test_one_that_cannot_be_kept_is_not_taken_on(hand: Hand, tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("a file in the folder's place")
    queue = queue_in(tmp_path, most=1)
    job = Counted()
    with pytest.raises(OSError, match="jobs"):
        await queue.begin("a", job, hand.work("a", job))
    assert queue.going() == {}
    (tmp_path / "jobs").unlink()
    hand.let_go.set()
    await begin(queue, hand, "a")
    await all_over(queue)
    assert hand.begun == ["a"]
