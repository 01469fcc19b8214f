"""What a job is: the record that clients see, its states, and where it is kept."""

from typing import Literal, Protocol, TypeVar

State = Literal["queued", "running", "done", "failed", "cancelled"]
RESTARTED = "the history was restarted meanwhile: ask for it again"


class JobFailedError(Exception):
    """The work came to an end, and what it made is of no use; the message says why."""


class Job(Protocol):
    """What every job's record has, beside what its work notes on it."""

    state: State
    reason: str | None
    asked_at: float
    ended_at: float | None


AnyJob = TypeVar("AnyJob", bound=Job)


class KeptJobs(Protocol[AnyJob]):
    """Where the records are, so that they outlive the process that does the work."""

    async def save(self, key: str, job: AnyJob) -> None: ...

    async def get(self, key: str) -> AnyJob | None: ...

    async def forget(self, key: str) -> None: ...


def is_over(job: Job) -> bool:
    return job.state in ("done", "failed", "cancelled")


def interrupt(job: Job) -> None:
    """Say of a job that nobody does any more that it failed: its process ended before it did."""
    job.state, job.reason = "failed", RESTARTED
