"""The evidence of a rollout's step: which entries of the ledger are its, and what they say.

It is read off the archive, minute by minute: the ledger already has every answer of every gateway,
by key and by version, and is what a certificate is verified by. A look takes whole minutes, since
the requests of a key within a minute count as one.
"""

from collections.abc import Iterator
from typing import Any, Protocol, Self

from config_store.certificates.certificate import Certificate, Look
from config_store.certificates.examination import Examination
from config_store.certificates.plan import Plan, margins_of
from config_store.certificates.progress import Point
from config_store.certificates.without_rows import Counted
from config_store.steering.rollouts.steps import needs_evidence
from config_store.steering.state import Rollout, Strategy
from deployments.api.shipped import FAMILIES
from deployments.history.look_times import SETTLING_SECONDS, ended_ms
from models.evidence.margins import Design
from observability.ledger.archive import WINDOW
from observability.ledger.entry import Entry

# Families whose rows go by the state that they belong to, and those that never have an interval.
STATEFUL = tuple(sorted(name for name, each in FAMILIES.items() if each.key is not None))
WITHOUT_INTERVAL = tuple(
    sorted(name for name, each in FAMILIES.items() if each.interval_method == "none")
)
# By how many rows wait beside each other a lane's times differ, whichever version answers them.
MATCHED = ("p99_ms",)


class Archived(Protocol):
    """The part of the archive that is read here; its calls block."""

    def spans(self, since_ms: int, before_ms: int) -> list[tuple[str, int, int]]: ...
    def window(self, writer: str, first: int, last: int) -> list[Entry]: ...


def plan_of(rollout: Rollout) -> Plan:
    """State what a step is judged by; ValueError where a margin has no test."""
    paired = rollout.strategy is Strategy.SHADOW
    steps = (rollout.model_copy(update={"step": each}) for each in range(len(rollout.shares)))
    judged = [at for at, each in enumerate(steps) if needs_evidence(each)]
    settings = rollout.settings
    return Plan(
        rollout=rollout.id,
        step=rollout.step,
        incumbent=rollout.incumbent,
        candidate=rollout.candidate,
        begins_ms=int((rollout.step_begun + SETTLING_SECONDS) * 1000),
        design=Design(paired=True) if paired else _canary(rollout, judged),
        margins=margins_of(settings.margins, settings.alpha, len(judged), grouped=True),
        names_families=True,
        stateful=STATEFUL,
        without_interval=WITHOUT_INTERVAL,
        weakened=rollout.weakened,
    )


def _canary(rollout: Rollout, judged: list[int]) -> Design:
    """Have the last step speak for all keys: it is what the candidate is taken over by."""
    share, last = rollout.shares[rollout.step], rollout.step == judged[-1]
    return Design(share=share, matched=MATCHED, for_all_keys=last)


class StepEvidence:
    """One step under examination; it goes through JSON, so that a restart goes on where it was."""

    def __init__(self, examination: Examination, seen_ms: int, next_seq: dict[str, int]) -> None:
        self._examination = examination
        self._seen_ms = seen_ms
        self._next_seq = next_seq

    @classmethod
    def begin(cls, plan: Plan) -> Self:
        return cls(Examination(plan), plan.begins_ms, {})

    @property
    def plan(self) -> Plan:
        return self._examination.plan

    @property
    def latest(self) -> Look | None:
        looks = self._examination.looks
        return looks[-1] if looks else None

    def due(self, now: float) -> bool:
        """Tell whether a minute has ended since the last look, and is in the archive."""
        return ended_ms(now) > self._seen_ms

    def look(self, archive: Archived, now: float) -> Look:
        """Take the minutes that have ended since the last look; this blocks."""
        before_ms = ended_ms(now)
        next_seq = dict(self._next_seq)  # a read that fails halfway has taken nothing
        entries = list(self._new(archive, before_ms, next_seq))
        look = self._examination.look(before_ms / 1000, entries)
        self._seen_ms, self._next_seq = before_ms, next_seq
        return look

    def point(self) -> Point:
        """Show what the last look has found."""
        looks = self._examination.looks
        return Point.of(self.plan, len(looks), looks[-1], self._examination.excess())

    def certificate(self, before: str, counted: Counted) -> Certificate:
        return self._examination.certificate(before, counted)

    def _new(self, archive: Archived, before_ms: int, next_seq: dict[str, int]) -> Iterator[Entry]:
        # From the step's begin on each time: an entry may come late, from a spool.
        for writer, first, last in archive.spans(self.plan.begins_ms, before_ms):
            for entry in _chain(archive, writer, next_seq.get(writer, first), last):
                next_seq[writer] = entry.header.seq + 1
                yield entry

    def to_json(self) -> dict[str, Any]:
        return {
            "examination": self._examination.to_json(),
            "seen_ms": self._seen_ms,
            "next_seq": self._next_seq,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        examination = Examination.from_json(kept["examination"])
        return cls(examination, kept["seen_ms"], kept["next_seq"])


def _chain(archive: Archived, writer: str, first: int, last: int) -> Iterator[Entry]:
    """Read a writer's entries up to the first that is not there: it may be on its way."""
    for begin in range(first, last + 1, WINDOW):
        expected = begin
        for entry in archive.window(writer, begin, min(begin + WINDOW - 1, last)):
            if entry.header.seq != expected:
                return
            yield entry
            expected += 1
        if expected < min(begin + WINDOW, last + 1):
            return
