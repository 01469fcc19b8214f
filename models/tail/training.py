"""From telemetry to a tail model with its held-out figures."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import xgboost

from models.conformal import coverage, pinball, widen
from models.protocols import Columns
from models.tail.artifact import TailMeta
from models.tail.baselines import Baseline, entity_baselines
from models.tail.booster import fit_booster, predicted
from models.tail.calibration import INTERVAL_LEVEL, calibrated_offset, one_request_each
from models.tail.curve import LEVELS, fitted_tails
from models.tail.history import History, Split, history_of, split_by_time
from models.tail.sampling import draw_requests
from models.tail.xgboost_quantile import TailModel

REQUESTS = 160_000
"""To fit on; twice as many took twice as long and gained under 0.2 % of any level's loss."""

Progress = Callable[[float, str], None]
_LOWER, _UPPER = LEVELS.index(0.05), LEVELS.index(0.95)
_HULL = (0.001, 0.999)


@dataclass(frozen=True, slots=True)
class TrainedTail:
    model: TailModel
    metrics: dict[str, float]
    """Held out: coverage, mean_length (log latency), pinball_* for each level, minutes."""
    baselines: dict[str, Baseline]
    """Each entity's, as of the end of the history."""


def train_tail(
    columns: Columns, *, seed: int, threads: int, progress: Progress, requests: int = REQUESTS
) -> TrainedTail:
    """Fit, calibrate and judge; wants the columns of history.WANTED, a row an entity and minute.

    The same columns, seed and threads give the same model to the bit. `progress` hears the share
    done and what follows.
    """
    rng = np.random.default_rng(seed)
    progress(0.0, "reading history")
    split = split_by_time(history_of(columns))
    inputs, targets = draw_requests(split.train, requests, rng)

    def grown(share: float) -> None:
        progress(0.1 + 0.7 * share, "growing trees")

    grown(0.0)
    booster = fit_booster(inputs, targets, seed=seed, threads=threads, grown=grown)
    progress(0.8, "calibrating the interval")
    meta = _meta(booster, split, rng, requests, seed)
    model = TailModel(bytes(booster.save_raw("ubj")), meta)
    progress(0.9, "judging on held-out hours")
    trained = TrainedTail(model, held_out_metrics(model, split.held_out), entity_baselines(columns))
    progress(1.0, "trained")
    return trained


def held_out_metrics(model: TailModel, held_out: History) -> dict[str, float]:
    quantiles = model.quantiles(held_out.inputs)
    ends = widen(quantiles[:, _LOWER], quantiles[:, _UPPER], model.meta.offset)
    lower, upper = (end[:, None] for end in ends)
    losses = {
        f"pinball_{level:g}": pinball(quantiles[:, [index]], held_out.targets, level)
        for index, level in enumerate(LEVELS)
    }
    return {
        "coverage": coverage(lower, upper, held_out.targets),
        "mean_length": float(np.mean(upper - lower)),
        **losses,
        "minutes": float(held_out.ts.size),
    }


def _meta(
    booster: xgboost.Booster, split: Split, rng: np.random.Generator, requests: int, seed: int
) -> TailMeta:
    calibration = split.calibration
    quantiles = predicted(booster, calibration.inputs)
    tails = fitted_tails(quantiles, calibration.targets)
    low, high = np.quantile(split.train.inputs, _HULL, axis=0)
    return TailMeta(
        offset=calibrated_offset(quantiles, one_request_each(calibration.targets, rng)),
        interval_level=INTERVAL_LEVEL,
        tail_lower=tails.lower,
        tail_upper=tails.upper,
        input_low=tuple(low.tolist()),
        input_high=tuple(high.tolist()),
        trained_from=int(split.train.ts.min()),
        trained_to=int(max(part.ts.max() for part in split)),
        requests=requests,
        seed=seed,
        libraries={name: version(name) for name in ("xgboost-cpu", "mapie", "numpy")},
    )
