"""Conformal intervals: CQR beside its published figures, and coverage after a break.

CQR is fitted on histogram gradient boosting: the quantiles .1 and .9, each the mean of three
boosters, which calibration then makes a 90 % interval of. The settings were chosen on the splits of
other seeds than the bench's.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.ensemble import HistGradientBoostingRegressor

from benchmarks.quality.row import Row
from models.conformal import conformal_quantile, coverage, cqr_scores, widen
from models.online.adaptive import AdaptiveInterval

LEVEL = 0.9
SEEDS = range(200, 220)
QUANTILES = (0.1, 0.9)
BOOSTERS = 3
BOOSTING: dict[str, dict[str, Any]] = {
    "community": {"max_features": 0.2, "min_samples_leaf": 40, "max_iter": 60},
    "concrete": {"max_features": 0.3, "learning_rate": 0.05, "max_iter": 200},
}
PUBLISHED_LENGTH = {"community": 1.56, "concrete": 0.59}
README = "HGB-CQR of the README"
DOUBT = 3.0  # standard errors

STREAMS, CALIBRATION, BREAK, WAIT, STRETCH = 200, 300, 500, 100, 200
BACK = (0.88, 0.92)
MOST_ASTRAY, MOST_WIDE = 0.05, 1.2
ROUNDING = 1e-9


def run(data_dir: Path) -> list[Row]:
    """Measure everything; takes about two minutes on one core."""
    return [*cqr(data_dir / "conformal"), *after_a_break()]


def cqr(folder: Path) -> Iterator[Row]:
    """Fifth to test, half of the rest to calibrate; lengths over the mean absolute target."""
    for name, length in PUBLISHED_LENGTH.items():
        table = pd.read_parquet(folder / f"{name}.parquet")
        inputs, target = table.drop(columns="y").to_numpy(), table["y"].to_numpy()
        found = np.array([_split(inputs, target, seed, BOOSTING[name]) for seed in SEEDS])
        covered, ours = found.mean(axis=0).tolist()
        error = found[:, 0].std(ddof=1) / math.sqrt(len(found))
        fine = abs(covered - LEVEL) <= DOUBT * error
        yield Row(f"CQR {name}, coverage", covered, LEVEL, f"se {error:.4f}", fine)
        yield Row(f"CQR {name}, length", ours, length, README, ours <= length)


def _split(inputs: Any, target: Any, seed: int, boosting: dict[str, Any]) -> tuple[float, float]:
    order = np.random.default_rng(seed).permutation(len(target))
    test, rest = np.split(order, [len(target) // 5])
    calibration, training = np.split(rest, [len(rest) // 2])
    lower, upper = (
        _quantile(inputs, inputs[training], target[training], quantile, seed, boosting)
        for quantile in QUANTILES
    )
    scores = cqr_scores(lower[calibration], upper[calibration], target[calibration])
    offset = conformal_quantile(scores, LEVEL)
    ends = widen(lower[test], upper[test], offset)
    unit = np.abs(target[training]).mean()
    return coverage(*ends, target[test]), float(np.mean(ends[1] - ends[0]) / unit)


def _quantile(
    asked: Any, inputs: Any, target: Any, quantile: float, seed: int, boosting: dict[str, Any]
) -> Any:
    boosters = [
        HistGradientBoostingRegressor(
            loss="quantile", quantile=quantile, random_state=BOOSTERS * seed + member, **boosting
        )
        for member in range(BOOSTERS)
    ]
    return np.mean([each.fit(inputs, target).predict(asked) for each in boosters], axis=0)


def after_a_break() -> Iterator[Row]:
    """Double the variance of a stream at once; look at 200 steps, 100 steps later.

    The online layer is to be back at its coverage then, plain split conformal is not.
    """
    found = np.array([_stream(seed) for seed in range(STREAMS)])
    online, split, width = found.T
    strayed, stayed = 1 - _share_back(online), _share_back(split)
    mean, wide = float(online.mean()), float(width.mean())
    yield Row("break, online, mean coverage", mean, LEVEL, "level", _is_back(mean))
    yield Row("break, online, share not back", strayed, MOST_ASTRAY, "most", strayed <= MOST_ASTRAY)
    yield Row("break, online, width over the exact", wide, MOST_WIDE, "most", wide <= MOST_WIDE)
    mean = float(split.mean())
    yield Row("break, split, mean coverage", mean, LEVEL, "level", not _is_back(mean))
    yield Row("break, split, share back", stayed, MOST_ASTRAY, "most", stayed <= MOST_ASTRAY)


def _stream(seed: int) -> tuple[float, float, float]:
    steps = CALIBRATION + BREAK + WAIT + STRETCH
    scores = np.abs(np.random.default_rng(seed).normal(size=steps))
    scores[CALIBRATION + BREAK :] *= math.sqrt(2)
    state = AdaptiveInterval(scores=scores[:CALIBRATION])
    offsets, held = [], []
    for score in scores[CALIBRATION:].tolist():
        offsets.append(state.offset)
        held.append(state.observe(score))
    fixed = conformal_quantile(scores[:CALIBRATION], LEVEL)
    exact = math.sqrt(2) * stats.norm.ppf((1 + LEVEL) / 2)
    late = slice(-STRETCH, None)
    width = float(np.mean(offsets[late]) / exact)
    return float(np.mean(held[late])), float(np.mean(scores[late] <= fixed)), width


def _share_back(covered: Any) -> float:
    return float(np.mean([_is_back(each) for each in covered]))


def _is_back(covered: float) -> bool:
    return BACK[0] - ROUNDING <= covered <= BACK[1] + ROUNDING
