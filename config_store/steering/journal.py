"""The journal of steering in Redis: what was in force at a time, and who let it in.

An entry is written in the step that makes a change.
"""

from typing import Self

from config_store.records import read_record
from config_store.steering.commands import Actor
from config_store.steering.state import Override, SteeringState
from settings.frozen import Frozen

# Newest entries are kept; a platform with a change every ten minutes keeps two months.
MOST_ENTRIES = 10_000
# Each entry holds all overrides of its time, of which there may be hundreds with long reasons: past
# this the oldest tenth goes.
MOST_BYTES = 32_000_000


class JournalEntry(Frozen):
    """What held from `at` until the next entry."""

    revision: int
    at: float
    by: str  # who made this change
    active: int
    content_hash: str
    author: str
    approved_by: tuple[str, ...]
    candidate: int | None = None  # of the rollout that went on
    share: float = 0.0  # of the keys that saw it, from `share_from` on
    share_from: float | None = None
    emergency: str | None = None  # its reason
    overrides: tuple[Override, ...] = ()  # each until it expires

    @classmethod
    def of(cls, state: SteeringState, by: Actor) -> Self:
        life, rollout = state.versions[state.active], state.rollout
        return cls(
            revision=state.revision,
            at=state.changed,
            by=by.name,
            active=state.active,
            content_hash=life.content_hash,
            author=life.author,
            approved_by=life.approved_by,
            candidate=None if rollout is None else rollout.candidate,
            share=0.0 if rollout is None else rollout.shares[rollout.step],
            share_from=None if rollout is None else rollout.step_begun,
            emergency=None if state.emergency is None else state.emergency.reason,
            overrides=state.overrides,
        )

    def same_as(self, other: "JournalEntry") -> bool:
        """Tell whether both let the same answers out."""
        return _what_serves(self) == _what_serves(other)

    def member(self) -> str:
        """Write it so that of one time the later revision comes last."""
        return f"{self.revision:012d} {self.model_dump_json()}"

    @classmethod
    def read(cls, member: bytes | str) -> Self:
        text = member.decode() if isinstance(member, bytes) else member
        return read_record(cls, text.partition(" ")[2])


def _what_serves(entry: JournalEntry) -> tuple[object, ...]:
    return entry.active, entry.candidate, entry.share, entry.emergency, entry.overrides
