"""Where the configuration stands, and what is in the way: locks, freezes and settings."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Rollout
from deployments.api.config_drafts import Message, SteeringBody
from deployments.api.timestamps import TimestampOrEpoch

State = Literal["settled", "rollout", "emergency", "incomplete", "illegal"]


class LockBody(SteeringBody):
    """One editor at a time: while it lasts, nobody else drafts or deploys."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "the new policy", "seconds": 600}]},
    )
    reason: str = Field("editing", min_length=1, max_length=500)
    seconds: float = Field(900.0, gt=0, le=86_400)


class FreezeBody(SteeringBody):
    """A time in which nothing is deployed; rolling back is possible all the same."""

    model_config = ConfigDict(
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
