"""The trained forecasters: found by their pointers, loaded when there is a new champion."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from models.errors import ModelError
from models.forecasting.forecaster import Forecaster
from models.forecasting.kinds import kind_of, load_member
from models.forecasting.plan.model import CAPACITY_MODEL, CapacityModel
from models.model_version import ModelVersion
from models.pointer import read_pointer

FORECASTERS = ("seasonal_naive", "prophet", "ensemble", "nbeats", "tft")
KIND_FILE = "kind"
NOT_TRAINED = "it has not been trained yet"

log = logging.getLogger(__name__)


def registered_name(forecaster: str) -> str:
    return f"forecasting/{forecaster.replace('_', '-')}"


class Loaded(NamedTuple):
    model: Any
    version: ModelVersion


class LoadedModels:
    """What is loaded of one alias; looking again loads only what has changed."""

    def __init__(self, folder: Path, alias: str) -> None:
        self._folder = folder
        self.alias = alias
        self.forecasters: dict[str, Loaded] = {}
        self.capacity: Loaded | None = None
        self.missing: dict[str, str] = dict.fromkeys(FORECASTERS, NOT_TRAINED)

    def look(self) -> bool:
        """Load new champions; say whether there were any. Blocking: for a thread."""
        changed = False
        for name in FORECASTERS:
            found = self._newer(registered_name(name), self.forecasters.get(name), load_by_kind)
            if isinstance(found, Loaded):
                self.forecasters[name] = found
                self.missing.pop(name, None)
                changed = True
            elif found is not None and name not in self.forecasters:
                changed |= self.missing[name] != found
                self.missing[name] = found
        capacity = self._newer(CAPACITY_MODEL, self.capacity, CapacityModel.load)
        if isinstance(capacity, Loaded):
            self.capacity, changed = capacity, True
        return changed

    def version_of(self, forecaster: str) -> str:
        loaded = self.forecasters.get(forecaster)
        return "built-in" if loaded is None else loaded.version.version

    def learned_from_demo(self, forecaster: str) -> bool:
        """Tell whether a plan by this forecaster goes by made-up telemetry, be it in a part."""
        parts = (self.forecasters.get(forecaster), self.capacity)
        return any(each is not None and each.version.of_demo for each in parts)

    def _newer(
        self,
        name: str,
        loaded: Loaded | None,
        load: Callable[[Path], Any],
    ) -> Loaded | str | None:
        """Load what the alias names where it is not loaded yet; a reason when that fails."""
        try:
            wanted = read_pointer(self._folder, name, self.alias)
            if wanted is None or (loaded and wanted.is_same_model(loaded.version)):
                return None
            found = Loaded(load(wanted.path), wanted)
        except (ModelError, OSError, ImportError) as error:
            log.exception(
                "%s %s cannot be loaded, and the chain continues without it", name, self.alias
            )
            return f"it cannot be loaded: {type(error).__name__}"
        log.info("now serving %s %s", name, wanted.version)
        return found


def save_with_kind(forecaster: Forecaster, folder: Path) -> None:
    """Save a forecaster and which class reads it again."""
    forecaster.save(folder)
    (folder / KIND_FILE).write_text(kind_of(forecaster))


def load_by_kind(folder: Path) -> Forecaster:
    return load_member((folder / KIND_FILE).read_text().strip(), folder)
