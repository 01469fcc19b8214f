"""The configuration's endpoints as clients see them: versions, their lives, rollouts, drift."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from config_store.releases import Release
from config_store.steering.settings import RolloutSettings, SteeringSettings
from config_store.steering.state import Rollout, Stage, Strategy
from deployments.gateway.timestamps import TimestampOrEpoch

State = Literal["settled", "rollout", "emergency", "incomplete", "illegal"]
Message = Annotated[str, Field(min_length=1, max_length=500)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ConfigPatch(RootModel[dict[str, Any]]):
    """A merge patch (RFC 7396) of the active document: null removes, lists are replaced whole."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"serving": {"tail": {"slo_ms": 200}}}]}
    )


class DraftBody(_Body):
    """A new version: a whole document, or a merge patch of its parent's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "patch": {"serving": {"tail": {"slo_ms": 200}}},
                    "message": "a tighter objective for the tail",
                }
            ]
        },
    )
    message: Message
    document: dict[str, Any] | None = None
    patch: dict[str, Any] | None = Field(
        None, description="RFC 7396: what it names is replaced, null removes it."
    )
    parent: int | None = Field(
        None, ge=1, description="The version it is written on top of; the active one if left out."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.document is None) == (self.patch is None):
            raise ValueError("give either a document or a patch")
        return self


class PolicyDraftBody(_Body):
    """A new version whose safety policy is another one; the rest is its parent's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "policy": {
                        "families": {
                            "bandit-evaluate": {
                                "inputs": [],
                                "outputs": ["lower", "upper"],
                                "relations": [
                                    {
                                        "lesser": "lower",
                                        "greater": "upper",
                                        "level": "unsafe",
                                        "message": "An interval's ends may not cross.",
                                    }
                                ],
                                "fallback": [
                                    {"kind": "constant", "field": "lower", "value": 0},
                                    {"kind": "constant", "field": "upper", "value": 1},
                                ],
                            }
                        }
                    },
                    "message": "intervals of an evaluation may not cross",
                }
            ]
        },
    )
    policy: dict[str, Any] = Field(
        description="The whole policy, as GET /safety/policy gives it. Without a family that is "
        "served it is refused."
    )
    message: Message
    parent: int | None = Field(
        None, ge=1, description="The version it is written on top of; the active one if left out."
    )


class ApproveBody(_Body):
    """The hash is that of the document which the approver read: another content is not approved."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"config_hash": "5e884898" * 8}]}
    )
    config_hash: str = Field(pattern=r"^[0-9a-f]{64}$")


class DeployBody(_Body):
    """Which version is brought into force, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"version": 2, "strategy": "blue_green"}]},
    )
    version: int = Field(ge=1)
    strategy: Strategy = Strategy.BLUE_GREEN
    after: int | None = Field(
        None, ge=1, description="The active version that was seen; another one is a conflict."
    )
    id: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Of the rollout: the same one sent again changes nothing.",
    )
    reason: str = Field("", max_length=500)
    shares: Annotated[tuple[float, ...], Field(min_length=1, max_length=50)] | None = Field(
        None, description="Of the keys that see the candidate, a step each; the strategy's own."
    )
    settings: RolloutSettings | None = Field(
        None, description="What it is judged by; those of the steering settings if left out."
    )
    despite_branch: bool = Field(
        False, description="Deploy it though it lacks what the active version changed."
    )


class AbortBody(_Body):
    """Which rollout ends; the one that goes on if none is named."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "the p99 rose"}]}
    )
    id: str | None = Field(None, max_length=64)
    reason: str = Field("an operator ended it", min_length=1, max_length=500)


class AdvanceBody(_Body):
    """The step that was seen: a rollout that is at another one by now is left as it is."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"id": "019ac3f2b1d0-5f2e9c01", "step": 0}]},
    )
    id: str = Field(max_length=64)
    step: int = Field(ge=0)


class RollBackBody(_Body):
    """Where to go back to; the version that was active before if none is named."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "it sheds too much"}]}
    )
    version: int | None = Field(None, ge=1)
    after: int | None = Field(
        None, ge=1, description="The active version that was seen; another one is a conflict."
    )
    reason: str = Field("an operator went back", min_length=1, max_length=500)


class LockBody(_Body):
    """One editor at a time: while it lasts, nobody else drafts or deploys."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "the new policy", "seconds": 600}]},
    )
    reason: str = Field("editing", min_length=1, max_length=500)
    seconds: float = Field(900.0, gt=0, le=86_400)


class FreezeBody(_Body):
    """A time in which nothing is deployed; rolling back is possible all the same."""

    model_config = ConfigDict(
        extra="forbid",
        validate_by_name=False,
        json_schema_extra={
            "examples": [
                {
                    "reason": "the quarter's close",
                    "from": "2126-03-30T20:00:00Z",
                    "to": "2126-04-02T06:00:00Z",
                }
            ]
        },
    )
    reason: Message
    begins: TimestampOrEpoch | None = Field(
        None, alias="from", description="RFC 3339, or epoch seconds; now if left out."
    )
    ends: TimestampOrEpoch = Field(alias="to", description="RFC 3339, or epoch seconds.")


class SettingsBody(SteeringSettings):
    """How versions come into force; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"approvals_needed": 1}]})


class ApprovalShown(BaseModel):
    by: str = Field(description="The id of the key.")
    time: datetime
    config_hash: str


class LifeShown(BaseModel):
    """A version's way from draft to where it is."""

    parent: int | None
    stage: Stage
    checked: datetime | None = Field(description="When validation found it good.")
    refusal: str = Field(description="Why the last validation refused it.")
    approvals: list[ApprovalShown]
    approvals_needed: int
    next: str = Field(description="What has to be done before it can come into force.")


class ConfigVersion(BaseModel):
    version: int
    config_hash: str
    author: str
    reason: str = Field(description="The author's message.")
    created: datetime
    document: dict[str, Any]
    life: LifeShown | None = Field(
        None, description="Null for a version that is older than those whose lives are kept."
    )
    release: Release = Field(description="What it pins, by its parts.")


class ConfigHistory(ConfigVersion):
    history: list[int]


class ConfigSummary(BaseModel):
    version: int
    config_hash: str
    author: str
    reason: str
    created: datetime | None
    active: bool
    unreadable: str = Field("", description="Why this release cannot read it, where it cannot.")
    life: LifeShown | None = None


class PatchedShown(ConfigVersion):
    """What became of a patch."""

    changed: bool = Field(description="Whether the patch changed anything: else none was made.")
    deployed: bool = Field(description="Whether the version is in force, or on its way.")
    pending: str = Field(description="Why it is not deployed yet, and what to do.")


class ValidatedShown(BaseModel):
    """What a check found."""

    version: int
    good: bool
    faults: dict[str, str] = Field(description="What is wrong, by the place in the document.")
    life: LifeShown


class DifferenceShown(BaseModel):
    path: str = Field(description='Such as `serving.tail.slo_ms` or `entities["a.b"]`.')
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class DiffShown(BaseModel):
    since: int = Field(alias="from")
    until: int = Field(alias="to")
    differences: list[DifferenceShown]


class RolloutShown(BaseModel):
    """The rollout that goes on, and the one that ended last."""

    active: int
    rollout: Rollout | None
    last: Rollout | None
    share: float = Field(description="Of the keys, how many see the candidate now.")
    now: float = Field(description="Epoch seconds, as all times of a rollout.")


class LockShown(BaseModel):
    by: str
    reason: str
    since: datetime
    until: datetime


class FreezeShown(BaseModel):
    id: str
    by: str
    reason: str
    begins: datetime
    ends: datetime
    holds: bool = Field(description="Whether it holds now.")


class SteeringShown(BaseModel):
    """Where the configuration stands: one of few legal states, and what to do next."""

    state: State = Field(
        description="Incomplete: some replicas go by another version than the active one. Illegal: "
        "no command leads there; `GET /config/drift` says what was changed."
    )
    meaning: list[str] = Field(description="What is in force, what goes on, and what to do.")
    active: int
    config_hash: str
    revision: int
    warm: list[int] = Field(description="The versions that can be rolled back to at once.")
    drafts: list[int] = Field(description="Versions that were never deployed, newest first.")
    rollout: Rollout | None
    emergency: str | None = Field(description="Why emergency mode is on; null where it is off.")
    lock: LockShown | None
    freezes: list[FreezeShown]
    approvals_needed: int


class RunningShown(BaseModel):
    """What one replica last reported that it goes by."""

    replica: str
    role: str
    version: int
    config_hash: str
    age_s: float
    look_age_s: float = Field(
        description="How long before its report it had last read the steering state."
    )
    state: Literal["same", "behind", "lagging", "silent"] = Field(
        description="`lagging`: it goes by the active version, and has not looked for 5 s whether "
        "that is still the one; `silent`: it has not reported for 10 s."
    )


class FindingShown(BaseModel):
    """Something in Redis that no command of this platform wrote."""

    what: str
    remedy: str


class DriftShown(BaseModel):
    version: int
    config_hash: str
    complete: bool = Field(description="Whether every replica reports the active version's hash.")
    replicas: list[RunningShown]
    findings: list[FindingShown]


class RepairedShown(DriftShown):
    repaired: list[str] = Field(description="What was put right.")


class LetIn(BaseModel):
    """Who brought a version into force."""

    author: str
    activated_by: str = Field(description="The id of the key; empty before releases kept it.")
    activated: datetime
    reason: str
    approvals: list[ApprovalShown]


class AtShown(BaseModel):
    """What was in force at a time."""

    time: datetime
    version: int
    config_hash: str
    before: int = Field(description="The version that was active until then; 0 for none.")
    let_in: LetIn
    rollout: str = Field(description="The rollout that went on, in a sentence; else empty.")
    emergency: str = Field(description="Why emergency mode was on; else empty.")
    overrides: list[str] = Field(description="The overrides that held, in words.")
    release: Release | None = Field(
        description="What the version pins: the models that answered, by digest. Null where its "
        "document cannot be read any more."
    )
    complete: bool = Field(
        description="Whether the archive could be asked; else only the newest events were."
    )
