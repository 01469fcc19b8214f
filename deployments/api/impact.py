"""What a version would have changed, as clients see it: a replay's progress and its report."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from deployments.jobs.job import State


@dataclass(frozen=True, slots=True)
class ImpactAsked:
    """Which version is played, over which time, and how many rows are read at most."""

    version: int
    by: str
    since: float
    until: float
    rows: int


class ShareShown(BaseModel):
    """How many rows of those that were replayed, and between which shares it is of all."""

    rows: int
    share: float = Field(description="Of the rows that were replayed.")
    low: float = Field(description="With 95 % confidence; the share itself where all were read.")
    high: float
    about: int = Field(description="So many of all that were recorded; exact where all were read.")


class ExampleShown(BaseModel):
    decision_id: str
    item: int | None = Field(description="Of a list in the answer: which item, from 1.")
    before: Any
    after: Any


class FieldShown(BaseModel):
    """How one number of a family's answers changes."""

    changed: ShareShown
    median: float | None = Field(description="Of the sizes of the changes; null for choices.")
    p95: float | None
    largest: float | None
    raised: int
    lowered: int
    examples: list[ExampleShown] = Field(description="The largest changes first.")


class FlipShown(BaseModel):
    """An action that flips, or another rung that answers."""

    field: str
    before: str
    after: str
    count: ShareShown
    examples: list[str] = Field(description="Ids of decisions.")


class RuleShown(BaseModel):
    """A limit that is broken by other rows than before."""

    rule: str
    level: str
    new: ShareShown
    gone: ShareShown
    new_examples: list[str]
    gone_examples: list[str]


class FamilyShown(BaseModel):
    recorded: int
    read: int
    replayed: int
    asked_again: int = Field(description="Rows about which the model was asked again.")
    changed: ShareShown
    refused: ShareShown = Field(description="Answers that the version's policy refuses.")
    alarms: ShareShown = Field(description="Rows that call for emergency mode, and did not.")
    fields: dict[str, FieldShown]
    flips: list[FlipShown]
    rules: list[RuleShown]


class LeftOutShown(BaseModel):
    """Rows that were read and not replayed."""

    family: str
    reason: str
    rows: int
    examples: list[str]


class NotReplayedShown(BaseModel):
    """A place in the document that differs, and says nothing here."""

    path: str
    why: str


class ImpactReport(BaseModel):
    recorded: int = Field(description="Decisions of that time in the archive.")
    drawn: int
    read: int
    replayed: int
    whole: bool = Field(description="Whether all that were recorded were read.")
    sample: str = Field(description="How the rows were drawn, in words.")
    changed: ShareShown
    flipped: ShareShown = Field(description="Rows in which an action flips.")
    families: dict[str, FamilyShown]
    versions: dict[int, int] = Field(description="By the version that answered: rows replayed.")
    left_out: list[LeftOutShown]
    not_replayed: list[NotReplayedShown]
    notes: list[str] = Field(description="What a replay cannot know, whatever the version says.")


class ImpactShown(BaseModel):
    """A replay of recorded decisions under a version: how far it is, and its report."""

    version: int
    config_hash: str
    state: State
    asked_by: str = Field(description="The id of the key.")
    asked_at: float = Field(description="Epoch seconds, as all times here.")
    ended_at: float | None = None
    since: float
    until: float
    rows: int = Field(description="So many at most were to be read.")
    drawn: int = 0
    read: int = 0
    reason: str | None = Field(None, description="Why it failed.")
    report: ImpactReport | None = None
