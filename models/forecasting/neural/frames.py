"""Histories as the tables and data sets that pytorch-forecasting trains on.

A gap is filled, and weighs nothing. An hour weighs the less the larger its series' values are, so
that the busiest entity is not all that is learnt.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from models.errors import TrainingDataError
from models.forecasting.answers import measured
from models.forecasting.forecaster import HOUR, LONGEST_HORIZON, HourlySeries
from models.forecasting.known import known_about
from models.forecasting.neural import nbeats, tft_inputs
from models.forecasting.neural.gaps import filled, gappy, until
from models.forecasting.neural.libraries import Libraries
from models.forecasting.neural.scale_kernel import scaled
from models.forecasting.neural.tft_inputs import (
    CLOCK,
    LAGS,
    SHAPE,
    VALUE,
    clock,
    column,
    shape_of,
)

GROUP, TIME, WEIGHT = "group", "hour", "weight"
_WIDEST = 1e15
"""Wider values are beyond single precision, once squared."""
_STRIDE = 168
"""Hours from one stretch of a series, each scaled by itself, to the next."""


def known_names(series: Sequence[HourlySeries]) -> tuple[str, ...]:
    """Name the columns that most series have, finite, and that ever change.

    A series without one of them is left out: it must not take it from the others.
    """
    names = dict.fromkeys(name for each in series for name in each.names)
    return tuple(name for name in names if _is_telling(name, series))


def tft_data(libraries: Libraries, series: Sequence[HourlySeries], known: Sequence[str]) -> Any:
    """Cut histories into stretches of some weeks, each a group with a scale of its own."""
    least = tft_inputs.LEAST + LONGEST_HORIZON
    covariates = [*CLOCK, *(column(place) for place in range(len(known)))]
    return libraries.data_set(
        _table(_stretches(series, least, tft_inputs.MEASURED), known),
        **_shared(tft_inputs.PAST),
        time_varying_known_reals=covariates,
        time_varying_unknown_reals=[VALUE],
        lags={VALUE: list(LAGS)},
        target_normalizer=libraries.group_normalizer(groups=[GROUP]),
        static_reals=list(SHAPE),
    )


def nbeats_data(libraries: Libraries, series: Sequence[HourlySeries]) -> Any:
    least = nbeats.PAST + LONGEST_HORIZON
    curve = libraries.curve()
    return libraries.data_set(
        _table(_stretches(series, least, tft_inputs.MEASURED), ()),
        **_shared(nbeats.PAST),
        time_varying_unknown_reals=[VALUE],
        target_normalizer=libraries.encoder_normalizer(transformation=curve),
    )


def _shared(past: int) -> dict[str, Any]:
    ahead = LONGEST_HORIZON
    return {
        "time_idx": TIME,
        "target": VALUE,
        "group_ids": [GROUP],
        "weight": WEIGHT,
        "max_encoder_length": past,
        "min_encoder_length": past,
        "max_prediction_length": ahead,
        "min_prediction_length": ahead,
    }


def _is_telling(name: str, series: Sequence[HourlySeries]) -> bool:
    columns = [known_about(each, (name,), len(each.values), 0) for each in series]
    there = [each for each in columns if each is not None]
    return 2 * len(there) > len(columns) and any(np.ptp(each) > 0 for each in there)


def _stretches(
    series: Sequence[HourlySeries], least: int, most: int
) -> Iterator[tuple[HourlySeries, int]]:
    """Give each series with the hours, from its beginning, at which a stretch of it ends."""
    for each in series:
        if each.step != HOUR:
            continue
        for end in range(len(each.values), least - 1, -_STRIDE):
            yield each, end
            if end <= most:
                break


def _table(stretches: Iterator[tuple[HourlySeries, int]], known: Sequence[str]) -> pd.DataFrame:
    tables = [
        stretch_of(until(each, end), known, str(place))
        for place, (each, end) in enumerate(stretches)
    ]
    there = [table for table in tables if table is not None]
    if not there:
        raise TrainingDataError(
            f"no series has {tft_inputs.LEAST + LONGEST_HORIZON} hours without many gaps"
        )
    return pd.concat(there, ignore_index=True)


def stretch_of(past: HourlySeries, known: Sequence[str], group: str) -> pd.DataFrame | None:
    """Lay out a series' latest weeks as the rows of one group; None when there are many gaps."""
    raw = measured(past, tft_inputs.MEASURED)
    rows = known_about(past, known, raw.size, 0)
    if rows is None or gappy(raw):
        return None
    values = filled(raw)
    scale = scaled(values, tft_inputs.EPSILON, curved=False)
    if not scale.spread < _WIDEST:
        return None
    size = float(np.abs(values).mean()) or 1.0
    table = {GROUP: group, TIME: np.arange(raw.size), VALUE: values.astype(np.float32)}
    table |= {WEIGHT: np.isfinite(raw) / size}
    table |= {name: each[0] for name, each in shape_of(values, scale).items()}
    table |= dict(zip(CLOCK, clock(past.end - raw.size * HOUR, raw.size).T, strict=True))
    table |= {column(place): rows[:, place] for place in range(len(known))}
    return pd.DataFrame(table)
