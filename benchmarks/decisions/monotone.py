"""XGBoost's monotone constraints under quantile loss, as it ships and as models/tail repairs it.

Both boosters grow as many trees in the same shape on the same simulated telemetry. Load then rises
by itself, all else held, over a grid of states: a p99.9 that falls meanwhile would tell an operator
that more load helps.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xgboost

from benchmarks.decisions.figures import is_quick, show
from features.sources.simulator.platform import Platform
from features.telemetry.columns import Telemetry
from models.conformal import pinball
from models.protocols import FloatArray
from models.tail.booster import _SHAPE, ROUNDS_A_STAGE, STAGES, fit_booster
from models.tail.curve import LEVELS
from models.tail.history import History, history_of, split_by_time
from models.tail.inputs import INPUTS, MONOTONE
from models.tail.monotone import repaired
from models.tail.sampling import draw_requests

DAY = 86_400
UNTIL = 20_500 * DAY
SEED = 0
STATES, STEPS = 400, 60
P999 = LEVELS.index(0.999)


class Fall(NamedTuple):
    share: float
    """Of the states in which p99.9 falls somewhere as load rises."""
    steepest: float
    """The largest fall from one step to the next, as a share of the latency."""


def telemetry(days: int) -> History:
    platform = Platform(SEED)
    entities = platform.entities[:3]
    minutes = Telemetry.concat(
        platform.minutes(entity, UNTIL - days * DAY, UNTIL) for entity in entities
    )
    return history_of(minutes.columns())


def as_it_ships(inputs: FloatArray, targets: FloatArray) -> xgboost.Booster:
    """Grow what models/tail/booster.py grows, all at once and without the repair."""
    data = xgboost.QuantileDMatrix(
        inputs.astype(np.float32), targets, max_bin=_SHAPE["max_bin"], nthread=1
    )
    return xgboost.train(_SHAPE | {"seed": SEED, "nthread": 1}, data, STAGES * ROUNDS_A_STAGE)


def raw(booster: xgboost.Booster, inputs: FloatArray) -> FloatArray:
    found: FloatArray = booster.inplace_predict(inputs.astype(np.float32)).astype(np.float64)
    return found.reshape(-1, len(LEVELS))


def falls(booster: xgboost.Booster, states: FloatArray) -> Fall:
    rays = np.repeat(states[:, None, :], STEPS, axis=1)
    rays[:, :, INPUTS.index("load")] = np.linspace(0, 1.5, STEPS)
    p999 = raw(booster, rays.reshape(-1, len(INPUTS)))[:, P999].reshape(-1, STEPS)
    steps = np.diff(p999, axis=1)  # of log latency
    return Fall(float((steps < 0).any(axis=1).mean()), float(1 - np.exp(min(steps.min(), 0.0))))


def row(name: str, grow: Callable[[], xgboost.Booster], held_out: History) -> list[str]:
    used = time.process_time()
    booster = grow()
    used = time.process_time() - used
    rng = np.random.default_rng(SEED)
    states = held_out.inputs[rng.integers(0, len(held_out.inputs), STATES)]
    fall = falls(booster, states)
    quantiles = raw(booster, held_out.inputs)
    losses = [
        pinball(quantiles[:, [index]], held_out.targets, LEVELS[index])
        for index in (LEVELS.index(0.99), P999)
    ]
    return [
        name,
        f"{fall.share:.0%}",
        f"{fall.steepest:.1%}",
        *(f"{loss:.5f}" for loss in losses),
        f"{used:.1f}",
    ]


def run(*, quick: bool) -> None:
    split = split_by_time(telemetry(13 if quick else 28))
    rng = np.random.default_rng(SEED)
    inputs, targets = draw_requests(split.train, 20_000 if quick else 160_000, rng)

    def shipped() -> xgboost.Booster:
        return as_it_ships(inputs, targets)

    def at_the_end() -> xgboost.Booster:
        return repaired(shipped(), MONOTONE)

    def in_stages() -> xgboost.Booster:
        return fit_booster(inputs, targets, seed=SEED, threads=1, grown=lambda _: None)

    rows = [
        row("as XGBoost ships", shipped, split.held_out),
        row("repaired at the end", at_the_end, split.held_out),
        row("repaired after each stage", in_stages, split.held_out),
    ]
    head = ("", "states where it falls", "steepest fall", "p99 loss", "p99.9 loss", "CPU s")
    show("p99.9 as load rises, and what the repair costs in pinball loss", head, rows)


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
