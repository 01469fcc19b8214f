"""Trains the forecasters and the capacity model, in a process of its own.

Cheap ones come first and are champions at once, so that capacity planning answers by them while the
networks train. Progress goes out as JSON lines.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from deployments.forecasting.loaded_models import registered_name, save_with_kind
from launch.training.champion import make_champion, note_trained
from launch.training.due import HISTORY_HOURS, due
from launch.training.lines import tell_lack, tell_progress
from launch.training.low_priority import step_back
from launch.training.past import is_made_up, read_minutes, read_series
from models.errors import TrainingDataError
from models.forecasting.forecaster import HOUR, Forecaster, HourlySeries
from models.forecasting.joining import joined
from models.forecasting.neural.training import train_neural, usable
from models.forecasting.plan.model import CAPACITY_MODEL, CapacityModel
from models.forecasting.training import CheapForecasters, train_cheap
from models.needs import full_hours
from models.registry import Registry
from settings.environment import Settings

CHEAP_NAMES, NEURAL_NAMES = ("seasonal_naive", "prophet", "ensemble"), ("nbeats", "tft")
FORECASTERS = tuple(map(registered_name, (*CHEAP_NAMES, *NEURAL_NAMES)))

Progress = Callable[[float, str], None]

# Where each part begins, as a share of the whole.
CAPACITY, CHEAP, NEURAL, JOIN = 0.0, 0.05, 0.25, 0.95


class Trainer:
    """Trains in order of cost, and makes each model champion when it is done."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        progress: Progress,
        lack: Callable[[str, str], None],
        now: float,
    ) -> None:
        """`folder` is the run's own, with the history; `lack` hears what it is too short for."""
        self._settings = settings
        self._folder = folder
        self._registry = Registry(settings.tracking_uri, settings.paths.models)
        self._progress = progress
        self._lack = lack
        self._made_up = is_made_up(folder)
        full = full_hours((CAPACITY_MODEL, *FORECASTERS))
        self._due = set(due(settings.paths.models, full, now, made_up=self._made_up))
        self._history: dict[str, float] = {}

    def run(self) -> None:
        self._progress(CAPACITY, "learning how much load a worker carries")
        if CAPACITY_MODEL in self._due:
            self._learn_capacity()
        if self._due & set(FORECASTERS):
            self._forecasters(read_series(self._folder))
        self._progress(1.0, "trained")

    def _learn_capacity(self) -> None:
        minutes = read_minutes(self._folder)
        try:
            capacity = CapacityModel.trained(minutes)
        except TrainingDataError as short:
            self._lack(CAPACITY_MODEL, str(short))
            return
        hours = float(np.ptp(minutes["ts"])) / HOUR
        self._keep(CAPACITY_MODEL, capacity.save, {HISTORY_HOURS: hours})

    def _forecasters(self, series: Sequence[HourlySeries]) -> None:
        """Train them all where the history suffices for all: the ensemble is of those there are.

        Where only the networks are missing they come first: the others are trained for nothing
        again where those cannot be.
        """
        longest = max((len(each.values) for each in series), default=0)
        self._history = {HISTORY_HOURS: float(longest)}
        neural = self._enough_for_neural(series)
        cheap_due = bool(self._due & set(map(registered_name, CHEAP_NAMES)))
        others = self._neural(series) if neural and not cheap_due else []
        if not others and not cheap_due:
            return
        try:
            cheap = self._cheap(series)
        except TrainingDataError as short:
            self._lack_all(CHEAP_NAMES, short)
            return
        if others := others or (self._neural(series) if neural else []):
            self._progress(JOIN, "finding the weights of all forecasters")
            self._keep_forecaster("ensemble", joined(cheap, others, series), {})

    def _enough_for_neural(self, series: Sequence[HourlySeries]) -> bool:
        try:
            usable(series)
        except TrainingDataError as short:
            self._lack_all(NEURAL_NAMES, short)
            return False
        return True

    def _lack_all(self, names: Sequence[str], short: TrainingDataError) -> None:
        for name in map(registered_name, names):
            if name in self._due:
                self._lack(name, str(short))

    def _cheap(self, series: Sequence[HourlySeries]) -> CheapForecasters:
        seed, part = self._settings.seed, self._part(CHEAP, NEURAL)
        cheap = train_cheap(series, seed=seed, progress=part)
        self._keep_forecaster("seasonal_naive", cheap.seasonal_naive, cheap.metrics)
        self._keep_forecaster("prophet", cheap.prophet, cheap.metrics)
        self._keep_forecaster("ensemble", cheap.ensemble, cheap.metrics)
        return cheap

    def _neural(self, series: Sequence[HourlySeries]) -> list[Forecaster]:
        """Train the networks; none where the history turns out to have too many gaps."""
        threads = os.cpu_count() or 1
        part = self._part(NEURAL, JOIN)
        try:
            trained = train_neural(series, self._settings.seed, part, threads=threads)
        except TrainingDataError as short:
            self._lack_all(NEURAL_NAMES, short)
            return []
        self._keep_forecaster("nbeats", trained.nbeats, {})
        self._keep_forecaster("tft", trained.tft, {})
        return [trained.nbeats, trained.tft]

    def _keep_forecaster(
        self, name: str, forecaster: Forecaster, metrics: dict[str, float]
    ) -> None:
        def save(folder: Path) -> None:
            save_with_kind(forecaster, folder)

        self._keep(registered_name(name), save, metrics | self._history)

    def _keep(self, name: str, save: Callable[[Path], None], metrics: dict[str, float]) -> None:
        made_up = self._made_up
        version = make_champion(self._registry, self._folder, name, save, metrics, made_up=made_up)
        note_trained(self._settings, version)

    def _part(self, start: float, stop: float) -> Progress:
        def report(share: float, what: str) -> None:
            self._progress(start + share * (stop - start), what)

        return report


def main(folder: str) -> None:
    step_back()
    Trainer(Settings(), Path(folder), tell_progress, tell_lack, time.time()).run()


if __name__ == "__main__":
    main(sys.argv[1])
