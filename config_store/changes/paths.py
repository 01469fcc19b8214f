"""How the places of a document are written: `serving.tail.slo_ms`, `entities["a.b"]`, `ranges[0]`.

A key that is no plain word is quoted, so that a path names one place and no other.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

Part = str | int
WHOLE = "document"
"""The path of the document itself."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def path_of(parts: Sequence[Part]) -> str:
    return "".join(map(_written, parts)).removeprefix(".") or WHOLE


def place_of(fault: Sequence[Part], document: Any) -> tuple[Part, ...]:
    """Leave out of a fault's place what the document does not have: pydantic names unions' kinds.

    The last part stays: it may be what is missing.
    """
    found: list[Part] = []
    for at, part in enumerate(fault):
        last = at == len(fault) - 1
        if _has(document, part):
            document = document[part]
        elif not last or part == "[key]":
            continue
        found.append(part)
    return tuple(found)


def _has(document: Any, part: Part) -> bool:
    if isinstance(document, list):
        return isinstance(part, int) and part < len(document)
    return isinstance(document, dict) and part in document


def _written(part: Part) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN.fullmatch(part) else f"[{json.dumps(part)}]"
