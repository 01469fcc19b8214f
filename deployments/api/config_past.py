"""What was in force at a time, what the replicas run, and how far a repair went."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from config_store.releases import Release
from deployments.api.config_drafts import SteeringBody
from deployments.api.config_versions import ApprovalShown


class RepairBody(SteeringBody):
    """How far a repair may go."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rebuild": False}]})
    rebuild: bool = Field(
        False,
        description="Where no process and no copy knows the steering state: make one of the "
        "documents and the journal; for admins. What is in force stays; approvals, checks of "
        "drafts, freezes, the lock and the settings are lost.",
    )


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
    co_authors: list[str] = Field(description="Who else wrote some of it.")
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
