"""All that may be steered while the platform runs, as one immutable value.

It is kept in Redis as JSON beside its revision. Times are epoch seconds.
"""

from collections.abc import Iterable
from enum import StrEnum
from operator import not_
from typing import NamedTuple

from pydantic import Field

from config_store.steering.settings import RolloutSettings, SteeringSettings
from models.evidence.verdict import Verdict as Verdict  # noqa: PLC0414 - a rollout's is this one
from settings.frozen import Frozen


class Stage(StrEnum):
    """Where a version is in its life."""

    DRAFT = "draft"
    VALIDATING = "validating"  # being checked, or checked and not yet approved by enough
    APPROVED = "approved"
    DEPLOYING = "deploying"  # the candidate of the rollout that goes on
    ACTIVE = "active"
    DEPRECATED = "deprecated"  # was active until another one took its place
    ROLLED_BACK = "rolled_back"
    WITHDRAWN = "withdrawn"  # given up before it was ever deployed


# Afterwards its stage says what became of it.
UNDEPLOYED = frozenset({Stage.DRAFT, Stage.VALIDATING, Stage.APPROVED})


class Strategy(StrEnum):
    BLUE_GREEN = "blue_green"  # all keys at once
    CANARY = "canary"  # a growing share of keys
    ROLLING = "rolling"  # an equal part of the keys for each replica, one after another
    SHADOW = "shadow"  # the candidate answers beside, and no client sees it


class Outcome(StrEnum):
    """How a rollout ended."""

    FINISHED = "finished"
    ABORTED = "aborted"


class Approval(Frozen):
    by: str
    at: float
    content_hash: str
    acknowledged: tuple[str, ...] = ()  # what was found in the policy, and is approved all the same


class VersionLife(Frozen):
    """One version from its draft on; its document lies in the configuration store, unchanged."""

    number: int = Field(ge=1)
    content_hash: str
    author: str
    message: str
    parent: int | None
    created: float
    stage: Stage
    checked: float | None = None  # when validation found it good
    refusal: str = ""  # why the last validation refused it
    # Earlier releases refuse a field that they do not know, unlike this one. So what came later is
    # written where it says something, and left out where it does not: docs/operations.md, "Upgrade,
    # and go back".
    # Its last rollout was ended, and nobody has said anything about this version by that: neither
    # the verdict was bad, nor did a person name that rollout, or leave what clients had seen of it.
    interrupted: bool = Field(False, exclude_if=not_)
    # It was never deployed, as far as the state goes, and it is not known whether it ever answered:
    # something else than steering published it, or the state was made anew, or written again as it
    # was before.
    adopted: bool = Field(False, exclude_if=not_)
    # Who else wrote some of it: what it was drafted anew from, or lies under it and was never in
    # force.
    co_authors: tuple[str, ...] = Field((), exclude_if=not_)
    approvals: tuple[Approval, ...] = ()
    # Of its safety policy: the hash, that of the policy in force which it was compared with, and
    # what was found and has to be named by an approver. The hashes are "" where nobody looked.
    policy: str = ""
    against: str = ""
    findings: tuple[str, ...] = ()

    @property
    def authors(self) -> tuple[str, ...]:
        """Name all who wrote some of it; nobody approves what they wrote themselves."""
        return (self.author, *self.co_authors)

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Name those whose approval counts: others than the authors, of this very content."""
        found = {
            each.by: None
            for each in self.approvals
            if each.by not in self.authors and each.content_hash == self.content_hash
        }
        return tuple(found)

    def unacknowledged(self, approvals_needed: int) -> tuple[str, ...]:
        """Give the findings that nobody has named who may.

        Where no approval is needed an author may: nobody else has to look.
        """
        named = {
            name
            for each in self.approvals
            if each.content_hash == self.content_hash
            and (each.by not in self.authors or not approvals_needed)
            for name in each.acknowledged
        }
        return tuple(each for each in self.findings if each not in named)


class Rollout(Frozen):
    """The way of one candidate into force, and how far it is."""

    id: str = Field(min_length=1, max_length=64)
    strategy: Strategy
    candidate: int
    incumbent: int
    shares: tuple[float, ...]
    step: int
    begun: float
    step_begun: float  # gateways go by this step from then on, and by the one before until then
    step_deadline: float
    ends: float  # no deadline is put off beyond this
    settings: RolloutSettings
    by: str
    reason: str
    verdict: Verdict = Verdict.UNKNOWN  # of this step
    note: str = ""
    certificates: tuple[str, ...] = ()
    weakened: tuple[str, ...] = Field(
        (), description="By how much less than usual it is judged, as an admin stated it."
    )
    outcome: Outcome | None = None
    ended: float | None = None

    @property
    def last_step(self) -> int:
        return len(self.shares) - 1

    def step_at(self, now: float) -> int | None:
        """Tell the step that gateways go by at this time; None before the first one begins."""
        if now >= self.step_begun:
            return self.step
        return self.step - 1 if self.step else None

    def share_at(self, now: float) -> float:
        """Tell the share of keys that see the candidate at this time."""
        step = self.step_at(now)
        return 0.0 if step is None else self.shares[step]

    def put_off(self, freezes: "Iterable[Freeze]", now: float) -> "PutOff | None":
        """Tell by which freeze this step's deadline is put off, and until when; None by none.

        Nobody can advance it in a freeze. So from the end of one that held it, it has its whole
        time anew, at most to the rollout's end.
        """
        found: PutOff | None = None
        deadline = self.step_deadline
        for freeze in sorted(freezes, key=lambda each: each.begins):
            begun = freeze.begins <= now and freeze.begins < deadline
            anew = min(freeze.ends + self.settings.step_seconds, self.ends)
            if begun and freeze.ends > self.step_begun and anew > deadline:
                found, deadline = PutOff(anew, freeze), anew
        return found


class Emergency(Frozen):
    since: float
    by: str
    reason: str
    rule: str = ""  # "" where a person did it


class Override(Frozen):
    """A value that a person puts in the place of an answer's field, for a while."""

    id: str
    family: str
    entity: str  # "" is every entity
    field: str
    value: float | str
    reason: str
    author: str
    created: float
    expires: float


class Freeze(Frozen):
    """A time in which nothing is deployed."""

    id: str
    by: str
    reason: str
    begins: float
    ends: float


class PutOff(NamedTuple):
    """The deadline of a step that a freeze held."""

    deadline: float
    freeze: Freeze


class Lock(Frozen):
    """One editor at a time."""

    by: str
    reason: str
    at: float
    expires: float


class SteeringState(Frozen):
    revision: int = Field(ge=1)
    changed: float  # the time of this revision; never before that of an earlier one
    active: int
    warm: tuple[int, ...] = ()  # were active: those rolled back last, the others newest first
    versions: dict[int, VersionLife]  # the last ones; older ones are filed beside the state
    rollout: Rollout | None = None
    last_rollout: Rollout | None = None  # the one that ended last
    emergency: Emergency | None = None
    released: float | None = None  # when an admin ended the emergency before
    overrides: tuple[Override, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    lock: Lock | None = None
    settings: SteeringSettings = SteeringSettings()

    def overrides_at(self, now: float) -> tuple[Override, ...]:
        """Give those that hold at this time, whether or not an ended one was dropped yet."""
        return tuple(each for each in self.overrides if now < each.expires)

    def freezes_at(self, now: float) -> tuple[Freeze, ...]:
        return tuple(each for each in self.freezes if each.begins <= now < each.ends)

    def lock_at(self, now: float) -> Lock | None:
        return self.lock if self.lock is not None and now < self.lock.expires else None

    def is_overdue(self, now: float) -> bool:
        """Tell whether time has ended something, or a freeze put it off, and it is not written."""
        rollout, lock = self.rollout, self.lock
        if rollout is not None and rollout.put_off(self.freezes, now) is not None:
            return True
        ended = [
            *((rollout.step_deadline,) if rollout is not None else ()),
            *((lock.expires,) if lock is not None else ()),
            *(each.expires for each in self.overrides),
            *(each.ends for each in self.freezes),
        ]
        return any(at <= now for at in ended)
