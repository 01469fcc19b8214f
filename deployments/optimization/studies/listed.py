"""Parameters that a client lists: candidates, and trials that were run elsewhere.

JSON knows one kind of number; the space knows two. Each value is kept as its parameter has it, so
that a candidate listed with 3 and a trial of it with 3.0 are the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from models.optimization.bayes.candidates import key_of
from models.optimization.bayes.space import Parameters


def as_typed(space: Mapping[str, Any], parameters: Mapping[str, Any]) -> Parameters:
    """Make each number the kind that the space's document says; what is none stays as it is."""
    return {
        name: _typed(space.get(name, {}).get("type"), each) for name, each in parameters.items()
    }


def twice(candidates: Sequence[Parameters]) -> tuple[int, int] | None:
    """Find a candidate that was listed before: its number, and the earlier one's."""
    seen = dict[bytes, int]()
    for number, each in enumerate(candidates):
        if (earlier := seen.setdefault(key_of(each), number)) != number:
            return number, earlier
    return None


def _typed(kind: str | None, value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if kind == "float" and isinstance(value, int | float):
        return value + 0.0  # -0.0 is 0.0 too
    whole = kind == "int" and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value
