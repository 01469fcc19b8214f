"""Takes posted telemetry in: finds its source, reads the body in turns, checks it, queues it."""

import asyncio
from typing import NamedTuple

from config_store.sources import PushSource, SourcesConfig
from deployments.api.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
)
from deployments.gateway.large_requests.turns import Turns
from deployments.gateway.telemetry.intake import MOST_REST_SECONDS, queueing
from features.definitions.live import PRESENT_SECONDS
from features.errors import PostRefusedError
from features.sources.checks import checked
from features.sources.posted import Posted, steps
from features.sources.source import Complaint, Gathered, add_up
from features.telemetry.intake import Intake, packed_entries

UNFIT = "The posted telemetry does not fit the contract"
CONNECT = "`ballast connect push NAME` makes one"


class Ready(NamedTuple):
    """What was right of a body, packed for the queue, and what was wrong."""

    entries: list[bytes]
    rows: int
    # Which of them are of the past: stored and learned from, but shown by no present feature.
    older: int
    newest: float
    complaints: tuple[Complaint, ...]

    def note(self, now: float) -> str:
        """Say what becomes of the rows that are older than what is present."""
        if not self.older:
            return ""
        days = (now - self.newest) / PRESENT_SECONDS
        return (
            f"{self.older} of {self.rows} began over a day ago (the newest of all {days:.1f} days "
            "ago): they went to the history, which models learn from, and no present feature is "
            "made of them. Where they are of now, see how the client tells the time."
        )


def push_source(sources: SourcesConfig, name: str | None) -> tuple[str, PushSource]:
    """Find the source that posted rows belong to: the one that is named, or the only one."""
    pushed = {key: each for key, each in sources.named.items() if isinstance(each, PushSource)}
    if name is None:
        name = _only(pushed)
    source = sources.named.get(name)
    if source is None:
        raise NotFoundError(
            f"There is no source {name!r}; the push sources are: {', '.join(pushed) or 'none'}. "
            f"`ballast connect push {name}` makes it one"
        )
    if not isinstance(source, PushSource):
        raise ConflictError(
            f"The source {name!r} is of the kind {source.kind}: rows may be posted to one of the "
            f"kind push; {CONNECT}"
        )
    if source.paused:
        raise ConflictError(
            f"The source {name!r} is paused: set paused to false in the section sources"
        )
    return name, source


def _only(pushed: dict[str, PushSource]) -> str:
    if not pushed:
        raise ConflictError(f"No push source is configured: {CONNECT}, and rows may be posted then")
    if len(pushed) > 1:
        raise ConflictError(
            f"There are several push sources: name one, as in ?source={min(pushed)}; they are: "
            f"{', '.join(sorted(pushed))}"
        )
    return next(iter(pushed))


async def read_in_turns(raw: bytes, turns: Turns, *, csv: bool) -> Posted:
    """Read a body; others get their turn after each millisecond of it."""
    try:
        return await turns.run(steps(raw, csv=csv), MOST_REST_SECONDS)
    except PostRefusedError as refusal:
        raise InvalidError(UNFIT, {refusal.field: refusal.reason}) from refusal


async def check(posted: Posted, now: float, cadence_seconds: int) -> Ready:
    """Check the rows and pack what is right; InvalidError where nothing is."""
    ready = await asyncio.to_thread(_checked, posted, now, cadence_seconds)
    if not ready.entries:
        faults: dict[str, str] = {
            each.fault: f"{each.count} times; {each.example}" for each in ready.complaints
        }
        if not faults:
            faults = {"rows": "nothing was measured in any of them"}
        raise InvalidError("No row of the posted telemetry can be taken", faults)
    return ready


def _checked(posted: Posted, now: float, cadence_seconds: int) -> Ready:
    found = checked(posted.rows, now=now, cadence_seconds=cadence_seconds)
    complaints = add_up((*posted.complaints, *found.complaints))
    right = Gathered(found.telemetry, complaints)
    ts = found.telemetry.ts
    older = int((ts < now - PRESENT_SECONDS).sum())
    newest = float(ts.max(initial=0))
    return Ready(packed_entries(right), len(ts), older, newest, complaints)


async def queue(intake: Intake, source: str, ready: Ready) -> None:
    """Put the rows where they survive; a refusal says that none of them was taken."""
    with queueing("posted rows", "post the same rows again"):
        await intake.add(source, ready.entries)
