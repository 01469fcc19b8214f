"""Trains the forecasters and the capacity model, in a process of its own.

Cheap ones come first and are champions at once, so that capacity planning answers by them while the
networks train. Progress goes out as JSON lines.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deployments.forecasting.loaded_models import registered_name, save_with_kind
from launch.training.champion import make_champion
from launch.training.low_priority import step_back
from launch.training.past import read_minutes, read_series
from models.forecasting.forecaster import Forecaster, HourlySeries
from models.forecasting.joining import joined
from models.forecasting.plan.model import CAPACITY_MODEL, CapacityModel
from models.forecasting.training import CheapForecasters, train_cheap
from models.registry import Registry
from settings.environment import Settings

Progress = Callable[[float, str], None]

# Where each part begins, as a share of the whole.
CAPACITY, CHEAP, NEURAL, JOIN = 0.0, 0.05, 0.25, 0.95


class Trainer:
    """Trains in order of cost, and makes each model champion when it is done."""

    def __init__(self, settings: Settings, folder: Path, progress: Progress) -> None:
        """`folder` is the run's own, with the history to train on."""
        self._settings = settings
        self._folder = folder
        self._registry = Registry(settings.tracking_uri, settings.paths.models)
        self._progress = progress

    def run(self) -> None:
        series = read_series(self._folder)
        self._progress(CAPACITY, "learning how much load a worker carries")
        self._keep(CAPACITY_MODEL, CapacityModel.trained(read_minutes(self._folder)).save, {})
        cheap = self._cheap(series)
        others = self._neural(series)
        self._progress(JOIN, "finding the weights of all forecasters")
        self._keep_forecaster("ensemble", joined(cheap, others, series), {})
        self._progress(1.0, "trained")

    def _cheap(self, series: Sequence[HourlySeries]) -> CheapForecasters:
        seed, part = self._settings.seed, self._part(CHEAP, NEURAL)
        cheap = train_cheap(series, seed=seed, progress=part)
        self._keep_forecaster("seasonal_naive", cheap.seasonal_naive, cheap.metrics)
        self._keep_forecaster("prophet", cheap.prophet, cheap.metrics)
        self._keep_forecaster("ensemble", cheap.ensemble, cheap.metrics)
        return cheap

    def _neural(self, series: Sequence[HourlySeries]) -> list[Forecaster]:
        # PyTorch takes seconds to import, and the cheap ones need none of it.
        from models.forecasting.neural.training import train_neural  # noqa: PLC0415 - see above

        threads = os.cpu_count() or 1
        part = self._part(NEURAL, JOIN)
        trained = train_neural(series, self._settings.seed, part, threads=threads)
        self._keep_forecaster("nbeats", trained.nbeats, {})
        self._keep_forecaster("tft", trained.tft, {})
        return [trained.nbeats, trained.tft]

    def _keep_forecaster(
        self, name: str, forecaster: Forecaster, metrics: dict[str, float]
    ) -> None:
        def save(folder: Path) -> None:
            save_with_kind(forecaster, folder)

        self._keep(registered_name(name), save, metrics)

    def _keep(self, name: str, save: Callable[[Path], None], metrics: dict[str, float]) -> None:
        make_champion(self._registry, self._folder, name, save, metrics)

    def _part(self, start: float, stop: float) -> Progress:
        def report(share: float, what: str) -> None:
            self._progress(start + share * (stop - start), what)

        return report


def report(share: float, what: str) -> None:
    line: dict[str, Any] = {"share": round(share, 4), "what": what}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(folder: str) -> None:
    step_back()
    Trainer(Settings(), Path(folder), report).run()


if __name__ == "__main__":
    main(sys.argv[1])
