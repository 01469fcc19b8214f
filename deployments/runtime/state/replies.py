"""What the rows of a batch are answered: as one prediction, or why a row gets no answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from deployments.runtime.batch import Columns, Prediction
from deployments.runtime.state.building import Unreadable
from deployments.runtime.state.handler import Reply, StateHandler, StateRequest


def prediction_of(
    replies: Sequence[Reply | None], names: Sequence[str], model: str, version: str
) -> Prediction:
    """Put the replies of all rows together; a column that a reply leaves out is NaN there."""
    found = [reply if reply is not None else Reply() for reply in replies]
    columns: Columns = {
        name: np.array([reply.columns.get(name, np.nan) for reply in found]) for name in names
    }
    details: list[Any] = [reply.detail for reply in found]
    refusals = {row: reply.refusal for row, reply in enumerate(found) if reply.refusal}
    return Prediction(columns, model, version, details, refusals)


def unavailable(handler: StateHandler[Any], request: StateRequest) -> Reply:
    """Say of a row that it was not taken, or leave it to its fallback."""
    return Reply(refusal=handler.unavailable(request))


def failed(request: StateRequest) -> Reply:
    """Refuse a row that broke over its key's state."""
    message = (
        f"{request.key!r} could not be updated, and the replica's log says why: send the "
        "request again"
    )
    return Reply(refusal={"code": "unavailable", "message": message})


def unreadable_refusal(key: str, found: Unreadable) -> Reply:
    """Refuse a row whose key another release wrote."""
    message = (
        f"The state of {key!r} cannot be read by this release "
        f"({type(found.why).__name__}), and nothing was accepted: run the release that "
        "wrote it, or delete it to start again"
    )
    return Reply(refusal={"code": "unreadable", "message": message})
