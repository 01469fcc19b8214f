"""A feature's definition: all that decides its value, and what readers need to know of it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Literal

import orjson

from features.definitions.expression import Expression

MINUTE, HOUR, DAY = 60, 3600, 86_400

Statistic = Literal["mean", "sd", "quantile", "min", "max", "last"]
Measure = Literal["baseline_ms", "baseline_rate"]
JudgedStatistic = Literal["anomaly_score", "regime_change", "regime_minutes"]
CalendarFunction = Literal[
    "hour_of_day",
    "day_of_week",
    "is_business_hours",
    "minutes_to_open",
    "minutes_to_close",
    "is_half_day",
    "days_to_expiry",
]


class Kind(StrEnum):
    """When a feature is computed."""

    REAL_TIME = "REAL_TIME"
    """With each interval of telemetry, of that interval or moment alone."""
    BATCH = "BATCH"
    """By the clock, over a window of telemetry."""
    DERIVED = "DERIVED"
    """From other features: an expression when it is read, a function when they are published."""


@dataclass(frozen=True, slots=True)
class Live:
    """What the newest interval says; a load that was not measured follows from others."""

    column: str
    instead: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A statistic of a column over the trailing seconds, as of the last whole step."""

    column: str
    statistic: Statistic
    seconds: int
    step_seconds: int
    quantile: float | None = None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is normal for the entity, as models learn it."""

    measure: Measure
    columns: tuple[str, ...]
    seconds: int
    step_seconds: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """What the calendar of the entity's exchange, or its time zone, says of the moment."""

    function: CalendarFunction


@dataclass(frozen=True, slots=True)
class Judged:
    """What the streams that follow the entity's metrics said last."""

    statistic: JudgedStatistic


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a user's module, which is given columns of other features by their names."""

    path: str
    """The dotted name of the module, a colon, and the function's name."""
    names: tuple[str, ...]
    sha256: str
    """Of the module's text; empty where there is none that may be run."""


Computed = Live | Window | Baseline | Calendar | Judged | Expression | Function


@dataclass(frozen=True)
class Definition:
    """One feature; `revision` rises when the code behind it gives other values."""

    name: str
    kind: Kind
    unit: str
    description: str
    computed: Computed
    ttl_seconds: float | None = None
    """So old its time may be before it is stale: of what comes by the minute.

    None for a derived one, which is stale when one of its inputs is.
    """
    low: float = -math.inf
    high: float = math.inf
    type: Literal["number", "truth"] = "number"
    """Of a truth the value is 1 or 0."""
    owner: str = "ballast"
    revision: int = 1

    @cached_property
    def source(self) -> tuple[str, ...]:
        """Name the columns of telemetry, or the features, that it is computed of."""
        match self.computed:
            case Live(column=column, instead=instead):
                return (column, *instead)
            case Window(column=column):
                return (column,)
            case Baseline(columns=columns):
                return columns
            case Expression(names=names) | Function(names=names):
                return names
            case Calendar() | Judged():
                return ()

    @property
    def expression(self) -> Expression:
        """Give the expression of a derived feature that has one."""
        if not isinstance(self.computed, Expression):
            raise TypeError(f"feature {self.name!r} is computed by no expression")
        return self.computed

    def version(self, of_inputs: Mapping[str, str]) -> str:
        """Hash what decides the value, the versions of its inputs among it."""
        computed = self.computed
        how = computed.text if isinstance(computed, Expression) else asdict(computed)
        decides = {
            "name": self.name,
            "kind": self.kind,
            "type": self.type,
            "unit": self.unit,
            "bounds": [str(self.low), str(self.high)],
            "how": [type(computed).__name__, how],
            "revision": self.revision,
            "inputs": {name: of_inputs[name] for name in self.source if name in of_inputs},
        }
        return sha256(orjson.dumps(decides, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
