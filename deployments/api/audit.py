"""An audit of the ledger, as clients see it: how far it is, and what it found."""

from typing import Literal

from pydantic import BaseModel, Field

from deployments.jobs.job import State
from observability.ledger.verify import Fault, FaultKind, Verification

# A ledger that is damaged throughout has a fault an entry; the first ones say where to look.
MOST_FAULTS = 1_000


class FaultShown(BaseModel):
    """One thing that does not fit; what cannot be read at all has no writer and no number."""

    kind: FaultKind
    writer: str
    seq: int
    message: str

    @classmethod
    def of(cls, fault: Fault) -> "FaultShown":
        return cls(kind=fault.kind, writer=fault.writer, seq=fault.seq, message=fault.message)


class AuditShown(BaseModel):
    """How far an audit is; what it found once it is done."""

    state: State
    asked_at: float = Field(description="Epoch seconds, as all times here.")
    ended_at: float | None = None
    reason: str | None = Field(None, description="Why it failed.")
    entries: int = Field(0, description="Read so far.")
    of: int = Field(0, description="How many there are about, while it goes on.")
    whole: bool = Field(False, description="Whether every entry was read, and nothing is wrong.")
    rows: int = 0
    chains: int = 0
    fault_count: int = 0
    faults: list[FaultShown] = Field([], description="The first of them.")

    def note(self, found: Verification) -> None:
        """Note what was found in the end."""
        self.entries = self.of = found.entries
        self.whole = found.whole
        self.rows = found.rows
        self.chains = len(found.heads)
        self.fault_count = len(found.faults)
        self.faults = [FaultShown.of(each) for each in found.faults[:MOST_FAULTS]]


class NoAudit(BaseModel):
    """Nobody has asked for an audit of this archive yet."""

    state: Literal["none"] = "none"
