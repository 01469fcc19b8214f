"""Prophet, imported when first needed, without its chatter."""

import logging
from typing import Any


def prophet_class() -> Any:
    """Import Prophet; takes a second or two the first time.

    Its loggers say at every fit which seasons are off, and cmdstanpy says when it starts a process:
    nothing that someone could act on.
    """
    _hush("prophet", "prophet.plot", "prophet.models")
    import cmdstanpy  # noqa: F401, PLC0415  importing it sets its logger's level, so hush it after
    from prophet import Prophet  # noqa: PLC0415  importing it takes seconds, so not before

    _hush("cmdstanpy")
    return Prophet


def _hush(*names: str) -> None:
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL)
