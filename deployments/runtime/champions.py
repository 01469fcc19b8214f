"""The models that the versions alive go by: each loaded once, and kept while one is alive.

A version pins its models: what is loaded of a pin is never looked up again. One of an earlier
release names an alias, which is followed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Self, TypeVar

from config_store.document import ConfigDocument, PinnedModel
from config_store.shared_loads import SharedLoads
from models.errors import UnknownModelError
from models.model_version import ModelVersion

Model = TypeVar("Model")

log = logging.getLogger(__name__)


class NamedModel(NamedTuple):
    """How a version names the model that answers."""

    model: str
    alias: str
    pin: PinnedModel | None = None
    follows: bool = True
    """Whether the alias is followed; else the pin counts, and without one there is no model."""

    @classmethod
    def of(cls, document: ConfigDocument, model: str, alias: str) -> Self:
        if document.models is None:
            return cls(model, alias)
        return cls(model, alias, document.models.get(model), follows=False)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[Model]):
    model: Model
    version: ModelVersion


class Champions(Generic[Model]):
    """A version whose model is not loaded yet waits for it; one that is loaded waits for none."""

    def __init__(
        self, find: Callable[[NamedModel], ModelVersion], load: Callable[[ModelVersion], Model]
    ) -> None:
        """Both may block: they are called in threads."""
        self._find = find
        self._load = load
        self._loaded: dict[NamedModel, Loaded[Model]] = {}
        self._loads: SharedLoads[NamedModel, Loaded[Model]] = SharedLoads()
        self._absent: dict[NamedModel, str] = {}

    def loaded(self, named: NamedModel) -> Loaded[Model] | None:
        return self._loaded.get(named)

    def absent(self, named: NamedModel) -> str | None:
        """Say why the alias names no model; None where it names one, or nobody has looked yet."""
        return self._absent.get(named)

    async def get(self, named: NamedModel) -> Loaded[Model]:
        """Give what the alias names, loading it where that was not done yet."""
        return self._loaded.get(named) or await self._loads.get(named, partial(self._fetch, named))

    def prefetch(self, named: NamedModel) -> None:
        """Begin to load what batches will soon ask for."""
        if named not in self._loaded:
            self._loads.start(named, partial(self._fetch, named))

    async def follow(self, wanted: Iterable[NamedModel], active: NamedModel) -> None:
        """Load what these name now, and let go of what no version alive names.

        A model that answers goes on until another is loaded in its place; one that is pinned needs
        no file and no registry any more. What only an older version names, and could never be
        loaded, is left until a batch asks for it. That an alias names no model yet is no failure:
        `absent` says so until it does.
        """
        names = {*wanted, active}
        for named in self._loaded.keys() - names:
            del self._loaded[named]
        for named in self._absent.keys() - names:
            del self._absent[named]
        failures: list[Exception] = []
        settled = {named for named in self._loaded if not named.follows}
        known = self._loaded.keys() | self._absent.keys()
        for named in ((names & known) | {active}) - settled:
            try:
                await self._loads.get(named, partial(self._fetch, named))
            except UnknownModelError as unknown:
                if named in self._loaded:
                    failures.append(unknown)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the others are followed
                failures.append(failure)
        if failures:
            raise failures[0]

    async def _fetch(self, named: NamedModel) -> Loaded[Model]:
        version = await self._version(named)
        found = self._known(version)
        if found is None:
            found = Loaded(await asyncio.to_thread(self._load, version), version)
            log.info("now serving %s %s as %s", version.name, version.version, named.alias)
        self._loaded[named] = found
        self._absent.pop(named, None)
        return found

    async def _version(self, named: NamedModel) -> ModelVersion:
        """Find what the alias names, and keep in mind why it names nothing."""
        try:
            return await asyncio.to_thread(self._find, named)
        except UnknownModelError as unknown:
            if self._absent.get(named) != str(unknown):
                log.warning("%s", unknown)
            self._absent[named] = str(unknown)
            raise

    def _known(self, version: ModelVersion) -> Loaded[Model] | None:
        """Find a model that is loaded already, under whatever alias."""
        same = (each for each in self._loaded.values() if each.version.is_same_model(version))
        return next(same, None)
