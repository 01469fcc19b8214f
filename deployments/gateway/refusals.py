"""Rows that a family refuses: each is told why in its own place, and the others are answered."""

from collections.abc import Mapping, Sequence

from deployments.api.errors import REFUSALS
from deployments.gateway.answers import Answered
from deployments.runtime.batch import Batch, Refusal


def refused(refusals: Mapping[int, Refusal], batch: Batch) -> dict[int, Answered]:
    """Make the answers of the rows that get none."""
    return {
        row: _refused(why, batch.ids[row], batch.requests[row]) for row, why in refusals.items()
    }


def in_place(written: Sequence[Answered], refused_rows: Mapping[int, Answered]) -> list[Answered]:
    """Put the answers that were written between those that were refused."""
    answers = iter(written)
    n = len(written) + len(refused_rows)
    return [refused_rows[row] if row in refused_rows else next(answers) for row in range(n)]


def _refused(why: Refusal, decision_id: str, request_id: str) -> Answered:
    refusal = REFUSALS[why["code"]](why["message"], why.get("fields"))
    return Answered(decision_id, refusal.body(request_id), refusal)
