"""What clients of capacity-planning get of the next day, held against what came.

A replay through the parts that serve: the table is made at every hour, each entity is planned for
by the rate of the hour in progress, and each hour that is over moves the intervals that follow.
Without `--fixed` as served; with it seven tenths of every surprise are taken to last from each
hour to the next, and intervals are counted without that correction.

    python -m benchmarks.quality.hours_ahead --seed 5 [--fixed] [--kind NAME ...]
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from redis.asyncio import Redis

from benchmarks.quality.hourly_rates import KINDS, MOVED
from benchmarks.quality.row import Row
from deployments.forecasting import planner
from deployments.forecasting.hourly_offsets import HourlyOffsets
from deployments.forecasting.kept_hours import Ends
from deployments.forecasting.past import Past
from deployments.forecasting.pending_forecasts import DAY_AHEAD, NEXT, Horizon, ends_of, outcome_of
from deployments.forecasting.table import Ahead, ForecastTable
from deployments.runtime.coverage.handler import Online, OutcomeEvent, score
from models.forecasting.forecaster import HOUR, LONGEST_HORIZON
from models.forecasting.lasting import USUAL
from models.forecasting.seasonal_naive import SeasonalNaive
from models.protocols import BoolArray, FloatArray

BEGIN = 490_000  # hours since 1970
BEFORE, HOURS, EACH = 400, 180, 8
LEARNING = 45  # the first hours of a replay count for nothing: there are no outcomes yet
SHOWN = (1, 3, 6, 24)
LEVEL, FIRST_FLOOR, FLOOR = 0.9, 0.88, 0.85
DOUBT = 2.0  # standard errors
MODEL = SeasonalNaive.name


class Given(NamedTuple):
    """What clients got: hours by entities by hours ahead."""

    point: FloatArray
    lower: FloatArray
    upper: FloatArray


class Figures(NamedTuple):
    coverage: float
    doubt: float
    """Standard error between entities."""
    width: float
    """Median, over the mean rate."""
    error: float
    """Mean size, over the mean rate."""


class Replay:
    """Some entities' hours, one after the other."""

    def __init__(self, rates: FloatArray, *, fixed: bool) -> None:
        self._rates, self._fixed = rates, fixed
        self._names = [f"entity-{row}" for row in range(len(rates))]
        self._states = {each: [Online() for _ in rates] for each in (NEXT, DAY_AHEAD)}
        self._online = HourlyOffsets(Redis())  # which is never asked
        self._waiting: dict[tuple[int, Horizon], list[Ends]] = {}

    def run(self, before: int, hours: int) -> Given:
        found = [self._hour(hour) for hour in range(before, before + hours)]
        return Given(*(np.stack(each) for each in zip(*found, strict=True)))

    def _hour(self, hour: int) -> Given:
        """Answer everybody in an hour in progress."""
        self._count(hour - 1)
        ahead = self._table(hour)
        for horizon in self._states:
            self._note(hour, horizon, ahead)
        columns = {
            name: np.full(len(ahead), value)
            for name, value in {
                "cpu": 0.5, "p99": 20.0, "active_workers": 4.0, "slo_ms": 100.0,
                "calendar_events": 0.0, "horizon_hours": float(LONGEST_HORIZON),
            }.items()
        }  # fmt: skip
        columns["request_rate"] = self._rates[:, hour]
        _, details = planner.answer(columns, self._names, ahead, None, self._online)
        answers = [each["data"] for each in details if each is not None]
        return Given(*(np.array([each[name] for each in answers]) for name in Given._fields))

    def _table(self, hour: int) -> list[Ahead]:
        past = {
            name: Past(BEGIN * HOUR, rates[:hour], "XNYS")
            for name, rates in zip(self._names, self._rates, strict=True)
        }
        now = (BEGIN + hour) * HOUR + 60.0
        table = ForecastTable({MODEL: SeasonalNaive()}, {}, past, now, [MODEL])
        ahead = [table.ahead(name, MODEL) for name in self._names]
        return [replace(each, lasting=USUAL) for each in ahead] if self._fixed else ahead

    def _note(self, hour: int, horizon: Horizon, ahead: Sequence[Ahead]) -> None:
        offsets = self._online.offsets_at(horizon.hours, self._names)
        self._waiting[hour + horizon.hours, horizon] = [
            ends_of(each, horizon, offset) for each, offset in zip(ahead, offsets, strict=True)
        ]

    def _count(self, hour: int) -> None:
        """Learn from an hour that is over, as the forecasting replica does."""
        for horizon, states in self._states.items():
            for row, ends in enumerate(self._waiting.pop((hour, horizon), [])):
                self._learn(hour, horizon, row, ends)
            told = zip(self._names, [each.summary() for each in states], strict=True)
            online = self._online if horizon is NEXT else self._online.last
            online.take({name: each for name, each in told if each["outcomes"]})

    def _learn(self, hour: int, horizon: Horizon, row: int, ends: Ends) -> None:
        then, truth = self._rates[row, [hour - horizon.hours, hour]].tolist()
        if not math.isfinite(truth) or (self._fixed and horizon is DAY_AHEAD):
            return
        told = outcome_of(ends._replace(expected=math.nan) if self._fixed else ends, then, truth)
        offset = told["offset"]
        if horizon is DAY_AHEAD:
            (offset,) = self._online.offsets_at(horizon.hours, [self._names[row]])
        self._states[horizon][row].observe(OutcomeEvent(score(told), offset, 1.0, str(hour)))


def figures(rates: FloatArray, given: Given, before: int, ahead: int, when: BoolArray) -> Figures:
    """Judge one hour ahead of the answers that were given `when`."""
    first = before + ahead
    truth = rates[:, first : first + len(when)].T[when]
    point, lower, upper = (each[when][:, :, ahead - 1] for each in given)
    known, mean = np.isfinite(truth), np.nanmean(rates)
    held = np.where(known, (lower <= truth) & (truth <= upper), np.nan)
    each = np.nanmean(held, axis=0)
    return Figures(
        float(each.mean()),
        float(each.std(ddof=1) / math.sqrt(each.size)),
        float(np.median(upper - lower) / mean),
        float(np.nanmean(np.abs(point - truth)) / mean),
    )


def measured(
    kind: str, seed: int, *, fixed: bool, before: int = BEFORE, each: int = EACH
) -> Iterator[tuple[str, int, Figures]]:
    """Replay one kind; of kinds whose level moves only what is answered after that is judged."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    length = before + HOURS + LONGEST_HORIZON
    rates = np.stack([KINDS[kind](length, rng) for _ in range(each)])
    given = Replay(rates, fixed=fixed).run(before, HOURS)
    hour = before + np.arange(HOURS)
    spells = {kind: hour >= before + LEARNING}
    if kind.startswith("moves"):
        spells = {
            f"{kind}, first day": (hour >= MOVED) & (hour < MOVED + LONGEST_HORIZON),
            f"{kind}, later": hour >= MOVED + LONGEST_HORIZON,
        }
    for name, when in spells.items():
        for ahead in SHOWN:
            yield name, ahead, figures(rates, given, before, ahead, when)


def run(_: Path) -> list[Row]:
    """Measure everything; takes about half a minute on one core."""
    return list(_rows())


def _rows() -> Iterator[Row]:
    for kind in KINDS:
        for name, ahead, found in measured(kind, 5, fixed=False):
            if "first day" in name:
                continue
            floor = FIRST_FLOOR if ahead == 1 else FLOOR
            fine = found.coverage + DOUBT * found.doubt >= floor
            said = f"se {found.doubt:.3f}, floor {floor}"
            yield Row(f"{name}, hour {ahead}: coverage", found.coverage, LEVEL, said, fine)
            if kind == "AR .9" and ahead == 1:
                usual = next(measured(kind, 5, fixed=True))
                yield Row(
                    f"{name}, hour {ahead}: error", found.error, usual[2].error,
                    ".7 of surprises last", found.error <= usual[2].error,
                )  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--fixed", action="store_true")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--before", type=int, default=BEFORE, help="hours of history at the start")
    parser.add_argument("--each", type=int, default=EACH, help="entities of a kind")
    options = parser.parse_args(arguments)
    for kind in options.kind or KINDS:
        for name, ahead, found in measured(
            kind, options.seed, fixed=options.fixed, before=options.before, each=options.each
        ):
            sys.stdout.write(
                f"{name:24} {ahead:2} h  coverage {found.coverage:.3f} +- {2 * found.doubt:.3f}  "
                f"width {found.width:7.3f}  error {found.error:.3f}\n"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
