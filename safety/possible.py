"""What a number can be at all, whatever the policy says: finite, and of a choice one there is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from safety.arrays import BoolArray
from safety.checker import Violation
from safety.limits import Level
from safety.policy import FamilyPolicy

Columns = Mapping[str, npt.NDArray[np.floating[Any]]]


def impossible(policy: FamilyPolicy, columns: Columns) -> dict[int, list[Violation]]:
    """Name the rows with an output that no answer can carry, each with what is wrong with it."""
    found: dict[int, list[Violation]] = {}
    for field in policy.outputs:
        column = columns[field]
        for row in np.flatnonzero(_wrong(policy, field, column)).tolist():
            found.setdefault(row, []).append(_violation(policy, field, float(column[row])))
    return {row: found[row] for row in sorted(found)}


def _wrong(policy: FamilyPolicy, field: str, column: npt.NDArray[np.floating[Any]]) -> BoolArray:
    wrong: BoolArray = ~np.isfinite(column)
    if (names := policy.codes.get(field)) is not None:
        with np.errstate(invalid="ignore"):
            wrong = wrong | (column < 0) | (column > len(names) - 1)
    return wrong


def _violation(policy: FamilyPolicy, field: str, value: float) -> Violation:
    if not np.isfinite(value):
        why = "The model's value is not a finite number."
        return Violation(f"finite:{field}", field, None, None, Level.CRITICAL, why)
    why = f"The code is not one of {', '.join(policy.codes[field])}."
    bound = float(np.clip(value, 0, len(policy.codes[field]) - 1))
    return Violation(f"range:{field}", field, value, bound, Level.CRITICAL, why)
