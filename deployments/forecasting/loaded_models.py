"""The trained forecasters: those that a version pins, or an alias names, each loaded once."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from config_store.document import ConfigDocument, PinnedModel
from config_store.pinning import CAPACITY_MODELS, pinned_version
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


Pins = tuple[tuple[str, PinnedModel], ...]
# What a version pins of these models; of an earlier release's the alias that it follows.
Chosen = Pins | str


def chosen_by(document: ConfigDocument) -> Chosen:
    """Tell which models plans are made with, by this document."""
    if document.models is None:
        return document.serving.capacity.alias
    pins = {name: document.models.get(name) for name in CAPACITY_MODELS}
    return tuple((name, pin) for name, pin in pins.items() if pin is not None)


class LoadedModels:
    """What is loaded of one choice; looking again loads only what has changed, or was missing."""

    def __init__(
        self,
        folder: Path,
        chosen: Chosen,
        others: Callable[[], Iterable["LoadedModels"]] = tuple,
    ) -> None:
        """`others` are those of other choices: one model is loaded once for all."""
        self._folder = folder
        self._others = others
        self.chosen = chosen
        self.forecasters: dict[str, Loaded] = {}
        self.capacity: Loaded | None = None
        self.missing: dict[str, str] = dict.fromkeys(FORECASTERS, NOT_TRAINED)

    def look(self) -> bool:
        """Load new models; say whether there were any. Blocking: for a thread."""
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

    def lacking(self) -> list[str]:
        """Name what is pinned, and could not be loaded."""
        pins: Pins = () if isinstance(self.chosen, str) else self.chosen
        loaded = {each.version.name for each in self.all()}
        return [name for name, _ in pins if name not in loaded]

    def all(self) -> list[Loaded]:
        return [*self.forecasters.values(), *([self.capacity] if self.capacity else [])]

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
        """Load what is chosen where it is not loaded yet; a reason when that fails."""
        try:
            wanted = self._wanted(name, loaded)
            if wanted is None or (loaded and wanted.is_same_model(loaded.version)):
                return None
            found = self._known(wanted) or Loaded(load(wanted.path), wanted)
        except (ModelError, OSError, ImportError) as error:
            log.exception("%s cannot be loaded, and the chain continues without it", name)
            return f"it cannot be loaded: {type(error).__name__}"
        log.info("now serving %s %s", name, wanted.version)
        return found

    def _wanted(self, name: str, loaded: Loaded | None) -> ModelVersion | None:
        """Find the version that is chosen; of one that is pinned and loaded nothing is read."""
        if isinstance(self.chosen, str):
            return read_pointer(self._folder, name, self.chosen)
        pin = dict(self.chosen).get(name)
        if pin is None:
            return None
        return loaded.version if loaded else pinned_version(self._folder, name, pin)

    def _known(self, wanted: ModelVersion) -> Loaded | None:
        there = (each for other in self._others() for each in other.all())
        return next((each for each in there if each.version.is_same_model(wanted)), None)


def save_with_kind(forecaster: Forecaster, folder: Path) -> None:
    """Save a forecaster and which class reads it again."""
    forecaster.save(folder)
    (folder / KIND_FILE).write_text(kind_of(forecaster))


def load_by_kind(folder: Path) -> Forecaster:
    return load_member((folder / KIND_FILE).read_text().strip(), folder)
