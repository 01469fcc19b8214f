"""Versions of the configuration as clients see them: their lives, and how two differ."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from config_store.releases import Release
from config_store.steering.state import Stage
from safety.proofs.findings import Finding


class ApprovalShown(BaseModel):
    by: str = Field(description="The id of the key.")
    time: datetime
    config_hash: str
    acknowledged: list[str] = Field(
        description="What was found in the safety policy, and is approved all the same."
    )


class LifeShown(BaseModel):
    """A version's way from draft to where it is."""

    parent: int | None
    co_authors: list[str] = Field(
        description="Who wrote some of it besides its author: what it was drafted anew from, or "
        "lies under it and was never in force. None of them approves it, nor does the author."
    )
    stage: Stage
    checked: datetime | None = Field(description="When validation found it good.")
    refusal: str = Field(description="Why the last validation refused it.")
    approvals: list[ApprovalShown]
    approvals_needed: int
    findings: list[str] = Field(
        description="What its validation found in the safety policy and did not refuse: each has "
        "to be acknowledged by whoever approves it."
    )
    next: str = Field(description="What has to be done before it can come into force.")


class ConfigVersion(BaseModel):
    version: int
    config_hash: str
    author: str
    reason: str = Field(description="The author's message.")
    created: datetime
    document: dict[str, Any]
    life: LifeShown | None = Field(
        None,
        description="Null for a version that is older than those whose lives are kept, and where "
        "the steering state is not known.",
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
    findings: list[Finding] = Field(
        description="What is allowed, but has to be acknowledged by whoever approves it: limits "
        "without effect, and what the policy lets through that the one in force does not."
    )
    life: LifeShown


class WithdrawnShown(BaseModel):
    """A version that nobody deploys any more; its document is not kept."""

    version: int
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
