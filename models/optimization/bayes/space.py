"""A space of parameters: to rows of the unit cube and back, and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from models.errors import SpaceError
from models.optimization.bayes.parameters import Categorical, Float, Integer, Parameter, Value
from models.protocols import BoolArray, FloatArray

Parameters = dict[str, Value]
MOST_PARAMETERS = 50
MOST_COLUMNS = 200
_TYPES = ("float", "int", "categorical")


@dataclass(frozen=True, slots=True)
class Space:
    parameters: tuple[tuple[str, Parameter], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.parameters]
        if not names:
            raise SpaceError("the space is empty: give at least one parameter")
        if any(not isinstance(name, str) or not name for name in names):
            raise SpaceError("a parameter has no name")
        if twice := {name for name in names if names.count(name) > 1}:
            raise SpaceError(f"several parameters have the same name: {', '.join(sorted(twice))}")
        if len(names) > MOST_PARAMETERS or self.width > MOST_COLUMNS:
            raise SpaceError(
                f"the space has {len(names)} parameters in {self.width} columns (each "
                f"choice is one): at most {MOST_PARAMETERS} and {MOST_COLUMNS} are allowed"
            )

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read `{"x": {"type": "float", "low": 0, "high": 1, "log": false}, ...}`."""
        if not isinstance(document, Mapping):
            raise SpaceError(f"a space is a table of parameters by name, not {document!r}")
        return cls(tuple((name, _parse(name, each)) for name, each in document.items()))

    def document(self) -> dict[str, Any]:
        return {name: parameter.document() for name, parameter in self.parameters}

    @property
    def width(self) -> int:
        return sum(parameter.width for _, parameter in self.parameters)

    def row(self, values: Mapping[str, Any]) -> FloatArray:
        """Place parameters in the unit cube; SpaceError when they are not of this space."""
        if odd := set(values) ^ {name for name, _ in self.parameters}:
            raise SpaceError(f"{', '.join(sorted(map(str, odd)))}: missing, or not in the space")
        row: list[float] = []
        for name, parameter in self.parameters:
            try:
                row += parameter.columns(values[name])
            except SpaceError as error:
                raise SpaceError(f"parameter {name!r}: {error}") from error
        return np.array(row)

    def values(self, row: FloatArray) -> Parameters:
        """Name the parameters nearest to a row of the unit cube."""
        return {
            name: parameter.value(row[columns])
            for (name, parameter), columns in zip(self.parameters, self.columns(), strict=True)
        }

    def columns(self) -> list[slice]:
        ends = np.cumsum([parameter.width for _, parameter in self.parameters]).tolist()
        return [slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)]

    def continuous(self) -> BoolArray:
        """Tell the columns along which one may slide."""
        kinds = [[isinstance(each, Float)] * each.width for _, each in self.parameters]
        return np.array([kind for several in kinds for kind in several])

    def snapped(self, rows: FloatArray) -> FloatArray:
        """Move each row to the nearest one that parameters can name."""
        rows = np.array(rows)
        for (_, parameter), columns in zip(self.parameters, self.columns(), strict=True):
            if not isinstance(parameter, Float):
                rows[:, columns] = [parameter.columns(parameter.value(r)) for r in rows[:, columns]]
        return rows

    def neighbours(self, row: FloatArray) -> FloatArray:
        """List the rows that differ in one integer, by one step or an eighth, or in one choice."""
        found = [
            np.concatenate([row[: columns.start], near, row[columns.stop :]])
            for (_, parameter), columns in zip(self.parameters, self.columns(), strict=True)
            for near in _near(parameter, row[columns])
        ]
        return np.array(found).reshape(len(found), self.width)


def _near(parameter: Parameter, columns: FloatArray) -> list[list[float]]:
    here = parameter.value(columns)
    if isinstance(parameter, Categorical):
        return [parameter.columns(each) for each in parameter.choices if each is not here]
    if isinstance(parameter, Float):
        return []
    stride = max((parameter.high - parameter.low) // 8, 1)
    steps = {int(here) + step for step in (-stride, -1, 1, stride)}
    inside = sorted(step for step in steps if parameter.low <= step <= parameter.high)
    return [parameter.columns(step) for step in inside]


def _parse(name: str, document: Any) -> Parameter:
    kinds: dict[str, Any] = {"float": Float, "int": Integer, "categorical": Categorical}
    if not isinstance(document, Mapping) or document.get("type") not in kinds:
        raise SpaceError(f"parameter {name!r}: its type must be one of {', '.join(_TYPES)}")
    settings = {key: value for key, value in document.items() if key != "type"}
    try:
        if document["type"] == "categorical":
            return Categorical(tuple(settings.pop("choices")), **settings)
        return kinds[document["type"]](**settings)  # type: ignore[no-any-return]
    except (TypeError, KeyError) as error:
        raise SpaceError(f"parameter {name!r}: {error}") from error
    except SpaceError as error:
        raise SpaceError(f"parameter {name!r}: {error}") from error
