"""Trains both networks on the histories of all entities; meant for a process of its own.

The same seed, series, limit and number of threads give the same weights: what the limit cuts are
the steps, reckoned from what a step takes on a slow core, never from the time that this run took.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from models.errors import TrainingDataError
from models.forecasting.forecaster import HOUR, LONGEST_HORIZON, HourlySeries
from models.forecasting.neural import frames
from models.forecasting.neural.calibration import (
    error_quantiles,
    interval_offsets,
    trained_on,
)
from models.forecasting.neural.fitting import Report, fit, weights_of
from models.forecasting.neural.libraries import Libraries, libraries, quiet
from models.forecasting.neural.nbeats import NBeats
from models.forecasting.neural.networks import (
    NBEATS_PLAN,
    TFT_PLAN,
    Plan,
    layout_of,
    nbeats_network,
    tft_network,
)
from models.forecasting.neural.tft import LEVEL, TemporalFusionTransformer
from models.forecasting.neural.windows import Windows
from models.needs import TFT

Progress = Callable[[float, str], None]
"""Told how far the training is, from 0 to 1, and what is being done."""

LIMIT = 90.0
_BESIDES = 20.0
"""Seconds of the limit for imports, drawing windows and calibration."""
_TFT_SHARE = 0.65
_START, _BETWEEN = 0.1, 0.4
"""How far the training is, as a share, when N-BEATS begins and when the transformer does."""


@dataclass(frozen=True, slots=True)
class Trained:
    nbeats: NBeats
    tft: TemporalFusionTransformer


def train_neural(
    series: Sequence[HourlySeries],
    seed: int,
    progress: Progress,
    *,
    limit: float = LIMIT,
    threads: int = 1,
    plans: tuple[Plan, Plan] = (NBEATS_PLAN, TFT_PLAN),
) -> Trained:
    """Train both within about `limit` seconds; TrainingDataError when no history is long enough."""
    hourly = usable(series)
    progress(0.0, "importing PyTorch")
    modules = libraries()
    seconds = max(limit - _BESIDES, 0.0)
    with alone(modules, seed, threads):
        steps = plans[0].within(seconds * (1 - _TFT_SHARE))
        report = _part(progress, "nbeats", _START, _BETWEEN)
        nbeats = train_nbeats(modules, hourly, seed, plans[0], steps, report)
        steps = plans[1].within(seconds * _TFT_SHARE)
        report = _part(progress, "tft", _BETWEEN, 1.0)
        tft = train_tft(modules, hourly, seed, plans[1], steps, report)
    return Trained(nbeats, tft)


def train_nbeats(
    modules: Libraries,
    series: Sequence[HourlySeries],
    seed: int,
    plan: Plan,
    steps: int,
    report: Report,
) -> NBeats:
    report(0.0)
    with quiet():
        data = frames.nbeats_data(modules, trained_on(series))
        windows = _windows(modules, data, seed, plan, steps)
    network = nbeats_network(modules, data, plan)
    fit(modules, network, windows, report)
    weights, none = weights_of(network), np.zeros(LONGEST_HORIZON)
    lower, upper = error_quantiles(NBeats(weights, none, none), series, LEVEL)
    return NBeats(weights, lower, upper, LEVEL)


def train_tft(
    modules: Libraries,
    series: Sequence[HourlySeries],
    seed: int,
    plan: Plan,
    steps: int,
    report: Report,
) -> TemporalFusionTransformer:
    report(0.0)
    past = trained_on(series)
    known = frames.known_names(past)
    with quiet():
        data = frames.tft_data(modules, past, known)
        windows = _windows(modules, data, seed, plan, steps)
    network = tft_network(modules, data, plan)
    fit(modules, network, windows, report)
    layout, weights = layout_of(network, data, known), weights_of(network)
    offsets = interval_offsets(TemporalFusionTransformer(weights, layout), series)
    return TemporalFusionTransformer(weights, layout, offsets)


def usable(series: Sequence[HourlySeries]) -> list[HourlySeries]:
    """Leave out what is not hourly or too short; TrainingDataError when nothing is left."""
    hourly = [each for each in series if each.step == HOUR]
    long = [each for each in hourly if len(each.values) >= TFT.least_hours]
    if not long:
        longest = max((len(each.values) for each in hourly), default=0)
        raise TrainingDataError(
            f"none of the {len(series)} series is hourly and has {TFT.least_hours:g} hours: the "
            f"longest has {longest}"
        )
    return long


def _windows(modules: Libraries, data: object, seed: int, plan: Plan, steps: int) -> Windows:
    return Windows(modules, data, most=plan.windows, batch=plan.batch, steps=steps, seed=seed)


def _part(progress: Progress, what: str, start: float, stop: float) -> Report:
    def report(share: float) -> None:
        progress(start + share * (stop - start), what)

    return report


@contextmanager
def alone(modules: Libraries, seed: int, threads: int) -> Iterator[None]:
    """Seed PyTorch and bound its threads, and leave both as they were found."""
    torch = modules.torch
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)
