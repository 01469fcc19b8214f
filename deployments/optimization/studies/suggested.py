"""A suggestion as it waits in the queue."""

from dataclasses import dataclass
from typing import Any, Literal

Source = Literal["start", "model", "near_best", "spread"]


@dataclass(frozen=True, slots=True)
class Suggested:
    parameters: dict[str, Any]
    source: Source
    basis: int
    """How many outcomes were known when it was made."""
    expected_improvement: float | None = None
    acquisition: float | None = None
    gain: float | None = None
