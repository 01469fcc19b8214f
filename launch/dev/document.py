"""The first configuration of `make dev`: the shipped one, in no hurry.

All stages share one process here, so that a stage which begins, or a debugger, holds up all others.
How long a model may take stays as it is: without one a request shall not wait for its fallback.
"""

from config_store.document import ConfigDocument
from config_store.shipped import default_document

PATIENCE = {"request_ms": 60_000.0, "features_ms": 10_000.0, "ledger_ms": 6_000.0}


def patient_document() -> ConfigDocument:
    document = default_document()
    serving = {
        name: each.model_copy(update={"deadlines": each.deadlines.model_copy(update=PATIENCE)})
        for name, each in document.serving.by_family().items()
    }
    return document.model_copy(update={"serving": document.serving.model_copy(update=serving)})
