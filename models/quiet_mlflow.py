"""MLflow's client, imported when first needed, without its telemetry, notices and warnings."""

import logging
import os
import warnings
from typing import Any

_SILENCE = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def open_client(tracking_uri: str) -> Any:
    """Open the client, making the database's tables if there are none.

    Takes seconds the first time. Two processes must not do it at once: hold a lock.
    """
    for name, value in _SILENCE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # SQLAlchemy deprecates an option that this MLflow uses; nothing a user could act on.
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415  importing it takes seconds, so not before

        return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
