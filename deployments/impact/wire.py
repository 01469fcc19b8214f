"""What goes between the archive's owner and the process that plays: rows there, outcomes back."""

from collections.abc import Sequence
from typing import NamedTuple

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

Shown = float | int | str | bool | None

# What flips beside the choices that an answer names.
RUNG, REFUSED = "rung", "refused"


class SentVersion(TypedDict):
    """A version, with its document as JSON."""

    number: int
    config_hash: str
    document: str


class SentRow(TypedDict):
    """A row of the ledger; where they were looked for, its entity's answers before it.

    `before` is none where nobody has looked, and is newest first.
    """

    row: str
    id: str
    before: list[str] | None


class Change(NamedTuple):
    """One number of an answer, before and after; of an item of a list its number, from 1."""

    field: str
    item: int | None
    before: Shown
    after: Shown


class Outcome(TypedDict, total=False):
    """One decision: what changes, or why it was left out. Only `id` is always there."""

    id: str
    family: str
    version: int
    left_out: str
    # So many seconds back the entity's last safe answer has to be looked for.
    needs_last: float
    asked_again: bool
    # As `Change` has them; what comes through the pipe are lists.
    changes: Sequence[tuple[str, int | None, Shown, Shown]]
    # Named choices that flip, and who answers: field, before, after.
    flips: list[tuple[str, str, str]]
    # Rules and their levels that are broken now and were not, and the other way round.
    new: list[tuple[str, str]]
    gone: list[tuple[str, str]]
    refused: str
    alarm: str
