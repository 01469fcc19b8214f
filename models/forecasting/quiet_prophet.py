"""Prophet, imported when first needed, without its chatter."""

import logging
from typing import Any


def prophet_class() -> Any:
    """Import Prophet; takes a second or two the first time.

    Its loggers say at every fit which seasons are off, and cmdstanpy says when it starts a process:
    nothing that someone could act on.
    """
    for name in ("prophet", "prophet.plot", "prophet.models"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    _hush_cmdstanpy()
    from prophet import Prophet  # noqa: PLC0415  importing it takes seconds, so not before

    return Prophet


def _hush_cmdstanpy() -> None:
    """Give its logger a handler, without which its first message would reset the level."""
    logger = logging.getLogger("cmdstanpy")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.CRITICAL)
