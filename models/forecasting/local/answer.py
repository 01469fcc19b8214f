"""Forecasts one series from its own past."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from models.errors import TrainingDataError
from models.forecasting.local.combination import combined
from models.forecasting.local.holidays import Holidays, without_holidays
from models.forecasting.local.intervals import Past, calibrated, coverage_so_far
from models.forecasting.local.members import Member, members_of
from models.forecasting.local.origins import origins_of, truths_of
from models.forecasting.local.question import LocalForecast, Question
from models.forecasting.local.repeated import repeat_last
from models.forecasting.local.seasons import seasons_of
from models.protocols import FloatArray

COMBINATION = "combination"
# Below this many values nothing is fitted.
FEWEST_FITTED = 8
# Of so many values without a negative one so many must be nought itself, where what is counted or
# shared out stops, before it is taken that there is none.
FEWEST_SIGNED, FEWEST_NOUGHTS = 30, 3
# So many values may be missing at the end: as many steps as a request may ask for.
MOST_BRIDGED = 500

TOO_SHORT = "fewer than four values say too little of how far a forecast goes wrong"
NEVER_WRONG = "forecasts of its past were never wrong, so that nothing says how far they may be"
MAY_BE_NEGATIVE = (
    "no value was negative so far, and the intervals say that one may be: send least: 0 where "
    "none can"
)
NO_PAST = "the series is too short to hold its past against intervals"


def forecast_series(question: Question) -> LocalForecast:
    """Answer; raises TrainingDataError where no value was measured, or none of late.

    The same series has the same answer to the bit, whatever was asked before or beside it.
    """
    there = np.flatnonzero(~np.isnan(question.values))
    if not there.size:
        raise TrainingDataError("no value was measured: at least one is needed")
    if there.size < FEWEST_FITTED:
        return _from_the_last(question, _repeated)
    if question.special is None:
        return _from_the_last(question, _fitted)
    holidays = without_holidays(question.values, question.special, question.cadence)
    usual = replace(question, values=holidays.usual, special=None)
    if np.count_nonzero(~np.isnan(usual.values)) < FEWEST_FITTED:
        return _from_the_last(question, _repeated)
    return _with_holidays(_from_the_last(usual, _fitted), holidays, question.least)


def _from_the_last(
    question: Question, answer: Callable[[Question], LocalForecast]
) -> LocalForecast:
    """Answer from the first value to the last; what is missing at the end is farther to forecast.

    So the errors that the answer is held against are of forecasts from as old a value.
    """
    gap = question.gap
    there = np.flatnonzero(~np.isnan(question.values))
    past = question.values[there[0] : len(question.values) - gap]
    if gap > MOST_BRIDGED or (gap > len(past) and there.size >= FEWEST_FITTED):
        raise TrainingDataError(
            f"the last value lies {question.cadence.span(gap + 1)} before the first step: at most "
            f"{MOST_BRIDGED} missing ones are bridged, and as many as the past has before them; "
            "give a longer frequency, or later values"
        )
    asked = replace(question, values=past, horizon=question.horizon + gap, special=None)
    found = answer(asked)
    if not gap:
        return found
    note = (
        f"values are missing at the end, {gap} of them: the last one lies "
        f"{question.cadence.span(gap + 1)} before the first step"
    )
    return replace(
        found,
        point=found.point[gap:],
        lower=found.lower[:, gap:],
        upper=found.upper[:, gap:],
        notes=(*found.notes, note),
    )


def _repeated(question: Question) -> LocalForecast:
    point, spread = repeat_last(question.values, question.horizon, question.levels)
    claimed = not np.isnan(spread).any()
    note = f"with fewer than {FEWEST_FITTED} values the last one is repeated"
    return LocalForecast(
        np.full(question.horizon, point),
        np.maximum(point - spread, question.least),
        point + spread,
        {"naive": 1.0},
        interval_reason=None if claimed else TOO_SHORT,
        coverage_reason=NO_PAST,
        notes=(note,),
    )


def _fitted(question: Question) -> LocalForecast:
    values, horizon = question.values, question.horizon
    seasons = seasons_of(values, question.cadence)
    origins = origins_of(len(values), horizon, seasons)
    truths = truths_of(values, origins, horizon)
    members, notes = _chosen(list(members_of(values, seasons, origins, horizon)), question.model)
    weights, forecasts = combined(members, truths)
    low = max(question.least, _least(values))
    past = Past(np.maximum(forecasts, low), truths, origins, positive=bool(np.nanmin(values) > 0))
    answer = LocalForecast(
        past.forecasts[-1],
        *_nothing(question),
        weights,
        seasons,
        notes=(*notes, *_unseen(question)),
        interval_reason=NEVER_WRONG,
        coverage_reason=NEVER_WRONG,
    )
    found = calibrated(past, question.levels)
    if found is None:
        return answer
    ends = found.about(past.forecasts[-1:])
    held, count = coverage_so_far(past, question.levels)
    lower = np.maximum(ends.lower[:, 0, :], low)
    signed = (MAY_BE_NEGATIVE,) if np.nanmin(values) >= 0 and np.min(lower) < 0 else ()
    return replace(
        answer,
        notes=(*answer.notes, *signed),
        lower=lower,
        upper=np.maximum(ends.upper[:, 0, :], low),
        interval_reason=None,
        coverage=held,
        coverage_points=count,
        coverage_reason=NO_PAST if held is None else None,
    )


def _nothing(question: Question) -> tuple[FloatArray, FloatArray]:
    unclaimed = np.full((len(question.levels), question.horizon), np.nan)
    return unclaimed, unclaimed


def _least(values: FloatArray) -> float:
    """Give what no forecast falls under: nought, where so many values show that it is the end.

    That all were positive so far does not: a temperature or a balance goes on falling.
    """
    there = values[~np.isnan(values)]
    if there.size < FEWEST_SIGNED or np.min(there) < 0:
        return -np.inf
    return 0.0 if np.count_nonzero(there == 0) >= FEWEST_NOUGHTS else -np.inf


def _chosen(members: list[Member], model: str) -> tuple[list[Member], tuple[str, ...]]:
    """Keep the methods of the kind that was asked for; all of them where the series has none."""
    usable = [each for each in members if not np.isnan(each.forecasts[-1]).any()]
    named = [each for each in usable if each.kind == model]
    if model == COMBINATION or named:
        return named or usable, ()
    return usable, (f"the series is too short for {model}, or shows no season: all methods answer",)


def _unseen(question: Question) -> tuple[str, ...]:
    """Say that the calendar's shortest season has not been seen twice, where it has not."""
    known = question.cadence.seasons()
    if not known or len(question.values) >= 2 * known[0]:
        return ()
    note = (
        f"a season of {known[0]} steps may exist, and the series is shorter than two of them: "
        "neither value nor intervals know of it"
    )
    return (note,)


def _with_holidays(answer: LocalForecast, holidays: Holidays, least: float) -> LocalForecast:
    moved = holidays.moved(answer.point)
    note = f"{holidays.seen} past values on holidays say how those differ"
    return replace(
        answer,
        point=np.maximum(holidays.put_back(answer.point), least),
        lower=np.maximum(holidays.put_back(answer.lower) - moved, least),
        upper=np.maximum(holidays.put_back(answer.upper) + moved, least),
        notes=(*answer.notes, note),
    )
