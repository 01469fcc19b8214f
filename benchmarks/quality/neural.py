"""Trains the networks on the simulator and measures them: `python -m benchmarks.quality.neural`.

How far off they are on the days after their training, beside the same hour a week before; how often
their intervals hold; and how long an answer takes beside pytorch-forecasting's own `predict`, which
must give the same. Needs no data of others.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.quality.row import Row
from benchmarks.quality.run import _table as table
from features.calendars.days import DAY, MINUTE
from features.hours.known import NAMES, known_hours
from features.sources.simulator.demand import requests
from features.sources.simulator.services import DEFAULT_SERVICES, Service
from models.forecasting.forecaster import HourlySeries
from models.forecasting.neural import frames
from models.forecasting.neural.calibration import trained_on
from models.forecasting.neural.gaps import until
from models.forecasting.neural.libraries import libraries, quiet
from models.forecasting.neural.networks import NBEATS_PLAN, TFT_PLAN, nbeats_network, tft_network
from models.forecasting.neural.training import Trained, train_neural
from models.protocols import FloatArray

DAYS, LATER = 60, 14
FIRST = 20_600
AHEAD, WEEK = 24, 168
WEEKS = "the same hour a week before"
PREDICT = "pytorch-forecasting's predict"
LEAST_TIMES = 10.0
NEAR = 0.05
LONGEST = 70.0


def main() -> int:
    console = Console(width=130)
    histories = [_history(service) for service in DEFAULT_SERVICES]
    past = [until(each, DAYS * 24) for each in histories]
    trained, took, busy = _trained(past, console)
    rows = [row for model in (trained.nbeats, trained.tft) for row in _accuracy(model, histories)]
    rows += _speeds(trained, past)
    rows.append(Row("training, processor seconds", busy, LONGEST, "allowed", busy <= LONGEST))
    console.print(table("neural", rows, took))
    return sum(not row.met for row in rows)


def _history(service: Service) -> HourlySeries:
    days = range(FIRST, FIRST + DAYS + LATER)
    minutes = np.concatenate([requests(0, service, day) for day in days]) / MINUTE
    values = minutes.reshape(-1, 60).mean(axis=1)
    known = known_hours(service.exchange, FIRST * DAY, len(values) + AHEAD)
    return HourlySeries(service.name, FIRST * DAY, values, known, NAMES)


def _trained(past: list[HourlySeries], console: Console) -> tuple[Trained, float, float]:
    """Train; give the seconds that passed, and those of the processor."""
    started, busy = time.monotonic(), time.process_time()
    with console.status("training ...") as status:
        trained = train_neural(
            past, 0, lambda share, what: status.update(f"{what} {100 * share:.0f} %")
        )
    return trained, time.monotonic() - started, time.process_time() - busy


def _accuracy(model: Any, histories: list[HourlySeries]) -> list[Row]:
    """Ask for every day after the training, and share each entity's errors by its mean rate."""
    found = np.array([_errors(model, each) for each in histories]).mean(axis=0)
    name = model.name
    return [
        Row(f"{name}: mean absolute error / mean rate", found[0], found[1], WEEKS, _less(found, 0)),
        Row(f"{name}: rmse / mean rate", found[2], found[3], WEEKS, _less(found, 2)),
        Row(f"{name}: coverage at 90 %", found[4], 0.9, "its level", abs(found[4] - 0.9) <= NEAR),
    ]


def _less(found: FloatArray, place: int) -> bool:
    return bool(found[place] < found[place + 1])


def _errors(model: Any, history: HourlySeries) -> tuple[float, ...]:
    origins = range(DAYS * 24, len(history.values) - AHEAD + 1, AHEAD)
    answer = model.forecast([until(history, origin) for origin in origins], AHEAD)
    truth = np.stack([history.values[origin : origin + AHEAD] for origin in origins])
    naive = np.stack([history.values[origin - WEEK :][:AHEAD] for origin in origins])
    scale = float(np.mean(history.values[: DAYS * 24]))
    errors = [np.abs(answer.point - truth), np.abs(naive - truth)]
    sizes = [float(error.mean()) / scale for error in errors]
    roots = [float(np.sqrt((error**2).mean())) / scale for error in errors]
    held = float(((answer.lower <= truth) & (truth <= answer.upper)).mean())
    return (*sizes, *roots, held)


def _speeds(trained: Trained, past: list[HourlySeries]) -> list[Row]:
    modules = libraries()
    modules.torch.set_num_threads(1)
    learnt = trained_on(past)
    known = trained.tft.layout.known
    with quiet():
        first = frames.nbeats_data(modules, learnt)
        second = frames.tft_data(modules, learnt, known)
        nbeats = nbeats_network(modules, first, NBEATS_PLAN).eval()
        tft = tft_network(modules, second, TFT_PLAN).eval()
        rows = _beside(modules, trained.nbeats, nbeats, (first, learnt, ()))
        return rows + _beside(modules, trained.tft, tft, (second, learnt, known))


def _beside(modules: Any, model: Any, network: Any, at_hand: tuple[Any, Any, Any]) -> list[Row]:
    """Time ours and theirs; theirs is given a data set that is made already."""
    data, past, known = at_hand
    rows = frames.stretch_of(past[0], known, "0")
    one = modules.data_set.from_dataset(data, rows, predict=True, stop_randomization=True)
    theirs = _milliseconds(partial(_predict, network, one))
    ours = _milliseconds(partial(model.forecast, past[:1], AHEAD))
    together = _milliseconds(partial(model.forecast, past, AHEAD))
    name, times = model.name, theirs / ours
    return [
        Row(f"{name}: one series, ms", ours, theirs, PREDICT, ours < theirs),
        Row(f"{name}: {len(past)} series, ms", together, theirs, PREDICT, together < theirs),
        Row(f"{name}: times faster", times, LEAST_TIMES, "asked for", times >= LEAST_TIMES),
    ]


def _predict(network: Any, data: Any) -> None:
    network.predict(data, trainer_kwargs=_quietly())


def _quietly() -> dict[str, Any]:
    off = ("logger", "enable_progress_bar", "enable_checkpointing", "enable_model_summary")
    return {"accelerator": "cpu"} | dict.fromkeys(off, False)


def _milliseconds(call: Callable[[], object]) -> float:
    """Time a call: the median of thirty, after one that compiles.

    The processor's time, on one thread, so that whoever else is busy here does not count.
    """
    call()
    times = []
    for _ in range(30):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1_000 * float(np.median(times))


if __name__ == "__main__":
    sys.exit(main())
