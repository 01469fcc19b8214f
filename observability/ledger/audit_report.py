"""What an audit says, as JSON: for the HTTP API, and for the command line."""

from typing import Literal

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from observability.ledger.verify import Fault, Verification

# A ledger that is damaged throughout has a fault an entry; the first ones say where to look.
MOST_FAULTS = 1_000


class FaultForm(TypedDict):
    kind: str
    writer: str
    seq: int
    message: str


class AuditReport(TypedDict):
    """Where an audit stands; all but the first three are of one that is done."""

    state: Literal["none", "running", "done", "failed"]
    entries: int
    of: int
    """How many entries there are about, while it runs."""
    failure: str
    whole: bool
    rows: int
    chains: int
    fault_count: int
    faults: list[FaultForm]
    finished: float | None
    """Epoch seconds."""


def unfinished(
    state: Literal["none", "running", "failed"], entries: int = 0, of: int = 0, failure: str = ""
) -> AuditReport:
    return AuditReport(
        state=state,
        entries=entries,
        of=of,
        failure=failure,
        whole=False,
        rows=0,
        chains=0,
        fault_count=0,
        faults=[],
        finished=None,
    )


def finished(found: Verification, at: float) -> AuditReport:
    return AuditReport(
        state="done",
        entries=found.entries,
        of=found.entries,
        failure="",
        whole=found.whole,
        rows=found.rows,
        chains=len(found.heads),
        fault_count=len(found.faults),
        faults=[_form(each) for each in found.faults[:MOST_FAULTS]],
        finished=at,
    )


def _form(fault: Fault) -> FaultForm:
    return FaultForm(kind=fault.kind, writer=fault.writer, seq=fault.seq, message=fault.message)
