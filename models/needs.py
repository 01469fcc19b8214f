"""What each model needs of telemetry: metrics, history, and what follows where one is missing.

The models themselves go by this: training refuses by it, and serving answers without a metric only
where it says so. So what people read of it is what the code does.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from models.errors import TrainingDataError

HOUR = 3_600


class Optional(NamedTuple):
    """A metric that a model can do without."""

    metric: str
    without: str
    """What follows where it is missing."""


@dataclass(frozen=True, slots=True)
class Needs:
    """One model's."""

    model: str
    required: tuple[tuple[str, ...], ...]
    """Each is a choice: one of its metrics must be there."""
    optional: tuple[Optional, ...]
    least_hours: float
    full_hours: float
    """Of history beyond this it gains little; trained on less, it is trained again as it grows."""
    least_intervals: int = 0
    """Of all entities together, each with the metrics that are required."""
    until_then: str = ""
    """Who answers while it is not trained."""

    @property
    def can_do_without(self) -> tuple[str, ...]:
        return tuple(each.metric for each in self.optional)

    def lacking(self, there: Collection[str]) -> list[str]:
        """Name what is required and not there; of a choice, in words."""
        return [" or ".join(each) for each in self.required if not set(each) & set(there)]

    def refuse_without(self, there: Collection[str]) -> None:
        """Raise TrainingDataError where a required metric is not there."""
        if lacking := self.lacking(there):
            raise TrainingDataError(
                f"the telemetry lacks {', '.join(lacking)}: map it in the configuration's `sources`"
            )

    def refuse_short(self, intervals: int, cadence_seconds: float, entities: int) -> None:
        """Raise TrainingDataError where there are too few intervals, and say how long it takes.

        The intervals are of so many entities, so as many more come with each cadence.
        """
        wanted = max(
            self.least_intervals, round(self.least_hours * HOUR / cadence_seconds) * entities
        )
        if intervals >= wanted or not wanted:
            return
        left = (wanted - intervals) * cadence_seconds / max(entities, 1)
        raise TrainingDataError(
            f"{wanted:,} intervals needed, {intervals:,} are there: {_duration(left)} more at a "
            f"cadence of {cadence_seconds:g} s from {entities or 'one'} "
            f"{'entity' if entities <= 1 else 'entities'}"
        )


def _duration(seconds: float) -> str:
    if seconds < 2 * HOUR:
        return f"about {max(seconds / 60, 1):.0f} min"
    return f"about {seconds / HOUR:.0f} h"


_WHOLE_FORECASTS = "the next of the chain answers, and last the seasonal naive"
_RATE = (("request_rate",),)
_CALENDAR = Optional(
    "exchange", "no exchange's calendar is known: only hours of day and week tell of the season"
)

TAIL = Needs(
    "tail/xgboost-quantile",
    required=(("request_rate",), ("p50_ms",), ("exemplars", "p95_ms", "p99_ms")),
    optional=(
        Optional("load", "cpu stands for it where active_workers is there too; without both no "
                 "load can be relieved, so the plan keeps the fleet, or calls a person"),
        Optional("infra", "the model does not see pressure on what lies below"),
        Optional("error_rate", "the model does not see failures"),
    ),
    least_hours=2,
    full_hours=21 * 24,
    least_intervals=2_000,
    until_then="the conservative fallback answers",
)  # fmt: skip
CAPACITY = Needs(
    "capacity/worker-curves",
    required=(("request_rate",), ("cpu",), ("p50_ms",), ("p99_ms",), ("active_workers",)),
    optional=(),
    least_hours=2,
    full_hours=21 * 24,
    until_then="workers are planned by proportion, as autoscalers do",
)
SEASONAL_NAIVE = Needs(
    "forecasting/seasonal-naive", _RATE, (), least_hours=0, full_hours=42 * 24,
    until_then="an untrained one answers",
)  # fmt: skip
PROPHET = Needs(
    "forecasting/prophet", _RATE, (_CALENDAR,), least_hours=48, full_hours=42 * 24,
    until_then=_WHOLE_FORECASTS,
)  # fmt: skip
ENSEMBLE = Needs(
    "forecasting/ensemble", _RATE, (_CALENDAR,), least_hours=1, full_hours=42 * 24,
    until_then=_WHOLE_FORECASTS,
)  # fmt: skip
# Of 319 hours a quarter is held out; a past of two days, lags of a week, and a day ahead stay.
NBEATS = Needs(
    "forecasting/nbeats", _RATE, (), least_hours=319, full_hours=42 * 24,
    until_then=_WHOLE_FORECASTS,
)  # fmt: skip
TFT = Needs(
    "forecasting/tft", _RATE, (_CALENDAR,), least_hours=319, full_hours=42 * 24,
    until_then=_WHOLE_FORECASTS,
)  # fmt: skip

NEEDS = {
    each.model: each for each in (TAIL, CAPACITY, SEASONAL_NAIVE, PROPHET, ENSEMBLE, NBEATS, TFT)
}
"""By the names of the registry."""


def until_trained(model: str) -> str:
    """Say who answers while a model is not trained."""
    return NEEDS[model].until_then if model in NEEDS else ""


def full_hours(models: Iterable[str]) -> dict[str, float]:
    """Give for each model the history beyond which it gains little."""
    return {name: NEEDS[name].full_hours for name in models}
