"""What may be asked of steering: a frozen dataclass each, and who asks."""

from dataclasses import dataclass

from access.keys import Role
from config_store.steering.settings import RolloutSettings, SteeringSettings
from config_store.steering.state import Strategy, Verdict


@dataclass(frozen=True, slots=True)
class Actor:
    """A person by the id of the key, or a part of the platform by its name.

    `request` is the id of the request by which they ask, the same one where it is sent again.
    """

    name: str
    role: Role
    request: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A new version, whose document is stored in the same step (`SteeringStore.draft`).

    `made_from` is the version whose changes it drafts anew, on top of another parent: who wrote
    those wrote some of this one.
    """

    number: int
    content_hash: str
    message: str
    parent: int
    made_from: int | None = None


@dataclass(frozen=True, slots=True)
class Validate:
    """The check of a version begins; it may be begun anew after it failed."""

    number: int


@dataclass(frozen=True, slots=True)
class Validated:
    """The check of a version ended, with why it was refused, or "" where it was not.

    `findings` are what a proof of its safety policy found that is not refused, by name; `policy`
    and `against` are the hashes of that policy and of the one in force which it was compared with.
    """

    number: int
    content_hash: str
    refusal: str = ""
    findings: tuple[str, ...] = ()
    policy: str = ""
    against: str = ""


@dataclass(frozen=True, slots=True)
class Approve:
    """The hash is that of the document which the approver read.

    `acknowledged` names each finding in its safety policy; without one of them it is refused.
    """

    number: int
    content_hash: str
    acknowledged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Give a version up that was never deployed, whoever wrote it.

    Its document goes once nobody needs it to read another draft; what is kept is who wrote it,
    when and what for, and its hash.
    """

    number: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Deploy:
    """Begin to bring a version into force.

    `after` is the active version that the operator saw. `id` is the caller's: the same command sent
    again changes nothing. Without shares those of the strategy are taken, without settings those of
    the steering settings. `despite_branch` allows a version that was not written on top of the
    active one, and so lacks what that one changed.
    """

    number: int
    strategy: Strategy
    id: str
    after: int
    reason: str = ""
    shares: tuple[float, ...] | None = None
    replicas: int = 1  # how many parts a rolling rollout has
    settings: RolloutSettings | None = None
    despite_branch: bool = False


@dataclass(frozen=True, slots=True)
class Judge:
    """The verdict on a step; bad ends the rollout, and unknown is only noted."""

    rollout: str
    step: int
    verdict: Verdict
    note: str = ""
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Advance:
    """Go on from this step to the next one; from the last one the candidate becomes active."""

    rollout: str
    step: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Give this step time until then."""

    rollout: str
    step: int
    deadline: float
    reason: str


@dataclass(frozen=True, slots=True)
class Abort:
    """End the rollout; every key goes back to the version that is active."""

    rollout: str
    reason: str


@dataclass(frozen=True, slots=True)
class RollBack:
    """Make a warm version active at once, and end the rollout that goes on.

    Without a number: abort the rollout that goes on; where there is none, go back to the warm
    version that was active last and was not rolled back itself. `after` and `rollout` are what was
    seen: the active version, and the rollout that went on, "" for none. Where something else is
    there by now it is refused: nobody goes back twice, nor from what was deployed meanwhile. None
    is for whichever it is.
    """

    reason: str
    number: int | None = None
    after: int | None = None
    rollout: str | None = None


@dataclass(frozen=True, slots=True)
class EmergencyOn:
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class EmergencyOff:
    """End the emergency that was seen, by its begin; 0 where none was seen, None for whichever."""

    reason: str
    since: float | None = None


@dataclass(frozen=True, slots=True)
class AddOverride:
    """Takes the place of one for the same family, entity and field."""

    id: str
    family: str
    field: str
    value: float | str
    reason: str
    expires: float
    entity: str = ""


@dataclass(frozen=True, slots=True)
class RemoveOverride:
    id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AddFreeze:
    id: str
    reason: str
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class RemoveFreeze:
    id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TakeLock:
    """Taken again by its holder, it lasts longer."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LeaveLock:
    """By its holder, or by an admin."""


@dataclass(frozen=True, slots=True)
class Expire:
    """Drop what time has ended; a rollout whose step is past its deadline is aborted."""


@dataclass(frozen=True, slots=True)
class SetSettings:
    """`before` is what was changed: where somebody else set others meanwhile it is refused.

    None is for whichever they are.
    """

    settings: SteeringSettings
    before: SteeringSettings | None = None


Command = (
    Draft
    | Validate
    | Validated
    | Approve
    | Withdraw
    | Deploy
    | Judge
    | Advance
    | Wait
    | Abort
    | RollBack
    | EmergencyOn
    | EmergencyOff
    | AddOverride
    | RemoveOverride
    | AddFreeze
    | RemoveFreeze
    | TakeLock
    | LeaveLock
    | Expire
    | SetSettings
)

# A gateway holds an emergency that Redis forgot until an end that came after its begin. So these
# two have the time of Redis also where an earlier release made the change before by a clock that
# was ahead.
BY_CLOCK_OF_REDIS = (EmergencyOn, EmergencyOff)

# The least role for each; docs/steering.md lists them.
ROLES: dict[type[Command], Role] = {
    Draft: Role.OPERATOR,
    Validate: Role.OPERATOR,
    Validated: Role.OPERATOR,
    Approve: Role.APPROVER,
    Withdraw: Role.OPERATOR,
    Deploy: Role.OPERATOR,
    Judge: Role.OPERATOR,
    Advance: Role.OPERATOR,
    Wait: Role.OPERATOR,
    Abort: Role.OPERATOR,
    RollBack: Role.OPERATOR,
    EmergencyOn: Role.OPERATOR,
    EmergencyOff: Role.ADMIN,
    AddOverride: Role.ADMIN,
    RemoveOverride: Role.ADMIN,
    AddFreeze: Role.ADMIN,
    RemoveFreeze: Role.ADMIN,
    TakeLock: Role.OPERATOR,
    LeaveLock: Role.OPERATOR,
    Expire: Role.OPERATOR,
    SetSettings: Role.ADMIN,
}
