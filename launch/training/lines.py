"""What a training process tells the one that started it: a JSON document a line."""

import json
import sys
from typing import Any, NamedTuple


class Progress(NamedTuple):
    share: float
    what: str


class Lack(NamedTuple):
    """A model that could not be trained, and what is missing."""

    model: str
    why: str


def tell_progress(share: float, what: str) -> None:
    _write({"share": round(share, 4), "what": what})


def tell_lack(model: str, why: str) -> None:
    _write({"model": model, "why": why})


def read(line: str) -> Progress | Lack | None:
    """Read a line; None for one that a library wrote."""
    try:
        said: dict[str, Any] = json.loads(line)
        if "model" in said:
            return Lack(str(said["model"]), str(said["why"]))
        return Progress(float(said["share"]), str(said["what"]))
    except (ValueError, KeyError, TypeError):
        return None


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()
