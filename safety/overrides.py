"""What a person puts in an answer's place: a value for one field of a family.

An override holds against the policy: whoever sets one knows of something that the policy does not.
It is held only against what the field can be at all: a finite number, a whole one where things are
counted, one of the choices where there are some.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from safety.errors import ImpossibleOverrideError
from safety.policy import FamilyPolicy

FloatArray = npt.NDArray[np.float64]

# The field of an override by which an admin confirms ENABLE_SAFETY_CHECKS=false for a family, and
# the one value it can have.
CHECKS, OFF = "safety_checks", "off"


class Wanted(Protocol):
    """An override as it is kept."""

    @property
    def id(self) -> str: ...
    @property
    def entity(self) -> str: ...
    @property
    def field(self) -> str: ...
    @property
    def value(self) -> float | str: ...
    @property
    def created(self) -> float: ...
    @property
    def expires(self) -> float: ...


def number_of(policy: FamilyPolicy, field: str, value: float | str) -> float:
    """Give the number that stands for a value of this field; ImpossibleOverrideError says why not.

    A choice may be given by its name or by its number.
    """
    if field == CHECKS:
        if value != OFF:
            raise ImpossibleOverrideError("value", f"{CHECKS} can only be {OFF!r}, not {value!r}")
        return 0.0
    if field not in policy.outputs:
        raise ImpossibleOverrideError(
            "field", f"{field!r} is not a number of this family's answers: {_names(policy.outputs)}"
        )
    names = policy.codes.get(field)
    if isinstance(value, str):
        return _named(field, value, names)
    if not math.isfinite(value):
        raise ImpossibleOverrideError("value", f"{value} is not a finite number")
    if names is not None and value not in range(len(names)):
        raise ImpossibleOverrideError("value", f"{value:g} is not one of {_names(names)}")
    if field in policy.whole and value != int(value):
        raise ImpossibleOverrideError("value", f"{field} counts things: {value:g} is not whole")
    return float(value)


class Applied(NamedTuple):
    """The outputs of a batch with what was put into them, and by row and field whose it is."""

    columns: dict[str, FloatArray]
    ids: dict[int, dict[str, str]]


class Overrides:
    """Those of one family, made ready for batches; the one made last has the last word."""

    def __init__(self, policy: FamilyPolicy, wanted: Sequence[Wanted]) -> None:
        """Leave out what this policy has no such field for: it was made under another one."""
        self._ready: list[tuple[Wanted, float]] = []
        for each in sorted(wanted, key=lambda each: (each.entity != "", each.created)):
            if each.field == CHECKS:
                continue
            try:
                self._ready.append((each, number_of(policy, each.field, each.value)))
            except ImpossibleOverrideError:
                continue

    def __bool__(self) -> bool:
        return bool(self._ready)

    def apply(self, columns: dict[str, FloatArray], entities: Sequence[str], now: float) -> Applied:
        """Put them into the answers of these rows; one of an entity counts before one of all."""
        by_row: dict[int, dict[str, str]] = {}
        columns = dict(columns)
        for each, number in self._ready:
            if each.expires <= now:
                continue
            rows = [row for row, entity in enumerate(entities) if each.entity in ("", entity)]
            if rows:
                column = columns[each.field] = np.array(columns[each.field])
                column[rows] = number
                for row in rows:
                    by_row.setdefault(row, {})[each.field] = each.id
        return Applied(columns, by_row)


def _named(field: str, value: str, names: tuple[str, ...] | None) -> float:
    if names is None:
        raise ImpossibleOverrideError("value", f"{field} is a number, not {value!r}")
    if value not in names:
        raise ImpossibleOverrideError("value", f"{value!r} is not one of {_names(names)}")
    return float(names.index(value))


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
