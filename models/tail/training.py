"""From telemetry to a tail model with its held-out figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import xgboost

from models.conformal import coverage, cqr_scores, pinball, widen
from models.needs import TAIL
from models.protocols import Columns, FloatArray
from models.tail.artifact import TailMeta
from models.tail.baselines import Baseline, entity_baselines
from models.tail.booster import fit_booster, predicted
from models.tail.buckets import Bucket
from models.tail.by_entity import entity_means, entity_offsets
from models.tail.calibration import (
    INTERVAL_LEVEL,
    calibrated_offset,
    cautious_offset,
    one_request_each,
)
from models.tail.curve import LEVELS, cautious_tails, fitted_tails
from models.tail.history import History, Prepared, prepare
from models.tail.importance import named
from models.tail.inputs import INPUTS
from models.tail.sampling import draw_requests
from models.tail.shuffled import importances
from models.tail.xgboost_quantile import TailModel

REQUESTS = 160_000
"""To fit on; twice as many took twice as long and gained under 0.2 % of any level's loss."""

Progress = Callable[[float, str], None]
_LOWER, _UPPER = LEVELS.index(0.05), LEVELS.index(0.95)
_HULL = (0.001, 0.999)
_USUAL = (0.5, 0.05, 0.95)
_SOME = 12


@dataclass(frozen=True, slots=True)
class TrainedTail:
    model: TailModel
    metrics: dict[str, float]
    """Held out: coverage, coverage_worst_entity, mean_length (log latency), pinball_* for each
    level, minutes, and importance_* with importance_error_* for each input.

    The worst entity's is the lowest coverage of one with enough held-out hours. All are of requests
    that were drawn from quantiles, where the telemetry has no exemplars.
    """
    baselines: dict[str, Baseline]
    """Each entity's, as of the end of the history."""


def train_tail(
    columns: Columns, *, seed: int, threads: int, progress: Progress, requests: int = REQUESTS
) -> TrainedTail:
    """Fit, calibrate and judge; wants the columns of needs.TAIL, a row an entity and interval.

    Of a history too short for baselines of a week the interval is wider (see `cautious_offset`).
    TrainingDataError says what is missing where there is too little to train on at all. The same
    columns, seed and threads give the same model to the bit. `progress` hears the share done and
    what follows.
    """
    rng = np.random.default_rng(seed)
    progress(0.0, "reading history")
    prepared = prepare(columns, seed)
    split = prepared.split
    for metric, without in TAIL.optional:
        if np.isnan(split.train.inputs[:, INPUTS.index(metric)]).all():
            progress(0.05, f"there is no {metric}: {without}")
    if prepared.buckets:
        progress(0.05, f"bounded by one bucket of their histogram: {_named(prepared.buckets)}")
    if prepared.short:  # more would only show the same intervals again
        requests = min(requests, split.train.targets.size)
    inputs, targets = draw_requests(split.train, requests, rng)

    def grown(share: float) -> None:
        progress(0.1 + 0.7 * share, "growing trees")

    grown(0.0)
    booster = fit_booster(inputs, targets, seed=seed, threads=threads, grown=grown)
    progress(0.8, "calibrating the interval")
    meta = _meta(booster, prepared, rng, requests, seed)
    model = TailModel(bytes(booster.save_raw("ubj")), meta)
    progress(0.9, "judging on held-out hours")
    metrics = held_out_metrics(model, split.held_out) | {"history_hours": prepared.hours}
    metrics |= named(importances(model, split.held_out, rng))
    trained = TrainedTail(model, metrics, entity_baselines(columns))
    progress(1.0, "trained")
    return trained


def held_out_metrics(model: TailModel, held_out: History) -> dict[str, float]:
    quantiles = model.quantiles(held_out.inputs)
    offsets = model.offsets(held_out.entity.tolist())
    ends = widen(quantiles[:, _LOWER], quantiles[:, _UPPER], offsets)
    lower, upper = (end[:, None] for end in ends)
    held = ((lower <= held_out.targets) & (held_out.targets <= upper)).mean(axis=1)
    by_entity = entity_means(held, held_out)
    losses = {
        f"pinball_{level:g}": pinball(quantiles[:, [index]], held_out.targets, level)
        for index, level in enumerate(LEVELS)
    }
    return {
        "coverage": coverage(lower, upper, held_out.targets),
        **({"coverage_worst_entity": min(by_entity.values())} if by_entity else {}),
        "mean_length": float(np.mean(upper - lower)),
        **losses,
        "minutes": float(held_out.ts.size),
    }


def _meta(
    booster: xgboost.Booster, prepared: Prepared, rng: np.random.Generator, requests: int, seed: int
) -> TailMeta:
    train, calibration = prepared.split.train, prepared.split.calibration
    quantiles = predicted(booster, calibration.inputs)
    truth = one_request_each(calibration.targets, rng)
    offsets: dict[str, float] = {}
    if prepared.short:
        tails = cautious_tails(quantiles, calibration.targets)
        offset = cautious_offset(quantiles, truth, _stretches(calibration, prepared.turn_seconds))
    else:
        tails = fitted_tails(quantiles, calibration.targets)
        offset = calibrated_offset(quantiles, truth)
        scores = cqr_scores(quantiles[:, _LOWER], quantiles[:, _UPPER], truth)
        offsets = entity_offsets(scores, calibration, offset)
    low, high = _by_input(train.inputs, _HULL)
    usual, usual_low, usual_high = _by_input(train.inputs, _USUAL)
    return TailMeta(
        offset=offset,
        interval_level=INTERVAL_LEVEL,
        tail_lower=tails.lower,
        tail_upper=tails.upper,
        input_low=low,
        input_high=high,
        trained_from=int(train.ts.min()),
        trained_to=int(max(part.ts.max() for part in prepared.split)),
        requests=requests,
        seed=seed,
        libraries={name: version(name) for name in ("xgboost-cpu", "mapie", "numpy")},
        input_usual=usual,
        input_usual_low=usual_low,
        input_usual_high=usual_high,
        input_missing=tuple(np.isnan(train.inputs).mean(axis=0).tolist()),
        cadence_seconds=prepared.cadence_seconds,
        target=prepared.target,
        history_hours=prepared.hours,
        buckets={entity: (b.begin, b.end) for entity, b in prepared.buckets.items()},
        offsets=offsets,
    )


def _named(buckets: Mapping[str, Bucket]) -> str:
    """Name some with what is known of them, and say how many more there are."""
    some = [f"{name} ({b.begin:.3g} to {b.end:.3g} ms)" for name, b in buckets.items()][:_SOME]
    more = f" and {len(buckets) - _SOME} more" if len(buckets) > _SOME else ""
    return ", ".join(some) + more


def _stretches(calibration: History, turn_seconds: int) -> int:
    """Count the turns: what lies within one is no separate look."""
    return int(np.unique(calibration.ts // turn_seconds).size)


def _by_input(inputs: FloatArray, levels: tuple[float, ...]) -> list[tuple[float, ...]]:
    """Take quantiles of each input over what was measured; NaN of one that never was."""
    found = np.full((len(levels), inputs.shape[1]), np.nan)
    for at, column in enumerate(inputs.T):
        if (there := column[~np.isnan(column)]).size:
            found[:, at] = np.quantile(there, levels)
    return [tuple(row) for row in found.tolist()]
