"""The safety endpoints as clients see them: emergency mode, overrides and violations."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from config_store.steering.state import Emergency, Override
from deployments.api.endpoint import ENTITY_PATTERN
from deployments.api.timestamps import TimestampOrEpoch

FAMILY_PATTERN = r"^[a-z][a-z_-]{0,31}$"
Reason = Annotated[str, Field(max_length=500, pattern=r"\S")]
# A limit at level safe is on trial: that it was broken is noted, and no more.
Severity = Literal["safe", "warning", "unsafe", "critical"]


class EmergencyBody(BaseModel):
    """Whether emergency mode shall be on, and why; the same may stand in the query."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"enable": True, "reason": "answers make no sense"}]},
    )
    enable: bool | None = Field(None, description="True turns it on; false, for admins, off.")
    # Nobody is refused in an emergency for want of words.
    reason: str | None = Field(None, max_length=500, description="For the timeline.")


class EmergencyShown(BaseModel):
    since: datetime
    by: str = Field(description="The id of the key, or the part of the platform.")
    reason: str
    rule: str | None = Field(description="The policy's rule that began it; null for a person.")

    @classmethod
    def of(cls, emergency: Emergency) -> "EmergencyShown":
        return cls(
            since=_utc(emergency.since),
            by=emergency.by,
            reason=emergency.reason,
            rule=emergency.rule or None,
        )


class EmergencyState(BaseModel):
    emergency_mode: bool
    emergency: EmergencyShown | None

    @classmethod
    def of(cls, emergency: Emergency | None) -> "EmergencyState":
        shown = None if emergency is None else EmergencyShown.of(emergency)
        return cls(emergency_mode=emergency is not None, emergency=shown)


class ChecksShown(BaseModel):
    asked_off: bool = Field(
        description="Whether ENABLE_SAFETY_CHECKS is false where this gateway runs."
    )
    off_for: list[str] = Field(
        description="Families that an admin confirmed it for; their answers are not held against "
        "the policy."
    )


class SafetyStatus(EmergencyState):
    config_version: int
    overrides: int = Field(description="How many hold now.")
    checks: ChecksShown
    revision: int | None = Field(
        description="The revision of the steering state that this gateway goes by."
    )
    state_age_seconds: float = Field(description="How long ago it was last read from Redis.")
    violations: dict[str, dict[str, int]] | None = Field(
        description="By family and severity, since the metrics began; null while Redis is away."
    )


class OverrideBody(BaseModel):
    """A value that is put in the place of what the model says, whatever the policy says of it."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "family": "tail",
                    "entity": "order-gateway",
                    "field": "autoscale_workers",
                    "value": 40,
                    "reason": "the opening auction of a listing that no model has seen",
                    "expires_at": "2027-03-02T10:00:00Z",
                }
            ]
        },
    )
    family: str = Field(pattern=FAMILY_PATTERN)
    entity: str = Field(
        "", pattern=rf"^$|{ENTITY_PATTERN}", description="Every entity where left out."
    )
    field: str = Field(
        min_length=1, max_length=64, description="One of the policy's outputs of this family."
    )
    value: float | str = Field(description="A number; of a choice such as `action` its name.")
    reason: Reason
    expires_at: TimestampOrEpoch = Field(description="At most 30 days ahead.")


class OverrideShown(BaseModel):
    id: str
    family: str
    entity: str | None = Field(description="Null for every entity.")
    field: str
    value: float | str
    reason: str
    author: str
    created: datetime
    expires_at: datetime

    @classmethod
    def of(cls, override: Override) -> "OverrideShown":
        return cls(
            id=override.id,
            family=override.family,
            entity=override.entity or None,
            field=override.field,
            value=override.value,
            reason=override.reason,
            author=override.author,
            created=_utc(override.created),
            expires_at=_utc(override.expires),
        )


class ViolationRecord(BaseModel):
    """A limit that an answer broke, and which answer it was."""

    decision_id: str
    timestamp: datetime
    family: str
    entity: str
    rule: str
    field: str | None
    value: float | None
    bound: float | None
    level: Severity
    message: str
    rung: str | None = Field(description="Who answered in the end; null of older decisions.")
    model_version: str | None
    config_version: int


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
