"""Asks the code that serves about a row: an example that it does not confirm is none."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from safety.fallback import Fallback
from safety.proofs.limits_held import Family
from safety.proofs.plain import Example


def broken(family: Family, row: Example) -> npt.NDArray[np.bool_]:
    """Say of each of the checker's rules whether the row breaks it."""
    found = family.checker.check(_columns(row), 1).broken
    if found is None:
        return np.zeros(len(family.limits), dtype=np.bool_)
    rules: npt.NDArray[np.bool_] = found[:, 0]
    return rules


def leaves(family: Family, row: Example) -> bool:
    """Say whether the row leaves as the model gave it."""
    return not any(
        each.acts and hit for each, hit in zip(family.limits, broken(family, row), strict=True)
    )


def fallback(family: Family, given: Example) -> Example:
    """Give what the fallback answers."""
    found = Fallback(family.policy, family.checker).answer(_columns(given), 1)
    return {name: float(column[0]) for name, column in found.items()}


def _columns(row: Mapping[str, float]) -> dict[str, npt.NDArray[np.float64]]:
    return {name: np.array([value]) for name, value in row.items()}
