"""All that may be steered while the platform runs, as one immutable value.

It is kept in Redis as JSON beside its revision. Times are epoch seconds.
"""

from enum import StrEnum

from pydantic import Field

from config_store.steering.settings import RolloutSettings, SteeringSettings
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


class Strategy(StrEnum):
    BLUE_GREEN = "blue_green"  # all keys at once
    CANARY = "canary"  # a growing share of keys
    ROLLING = "rolling"  # an equal part of the keys for each replica, one after another
    SHADOW = "shadow"  # the candidate answers beside, and no client sees it


class Verdict(StrEnum):
    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


class Outcome(StrEnum):
    """How a rollout ended."""

    FINISHED = "finished"
    ABORTED = "aborted"


class Approval(Frozen):
    by: str
    at: float
    content_hash: str


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
    approvals: tuple[Approval, ...] = ()

    @property
    def approved_by(self) -> tuple[str, ...]:
        """Name those whose approval counts: others than the author, of this very content."""
        found = {
            each.by: None
            for each in self.approvals
            if each.by != self.author and each.content_hash == self.content_hash
        }
        return tuple(found)


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
    outcome: Outcome | None = None
    ended: float | None = None

    @property
    def last_step(self) -> int:
        return len(self.shares) - 1

    def share_at(self, now: float) -> float:
        """Tell the share of keys that see the candidate at this time."""
        if now >= self.step_begun:
            return self.shares[self.step]
        return self.shares[self.step - 1] if self.step else 0.0


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
