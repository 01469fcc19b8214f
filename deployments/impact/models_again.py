"""Asks a model again about what was recorded: where a version names another, or gives it others.

Only the tail model can be asked again: its answer follows from the row alone. A capacity plan
follows from the hours that were known then, and what streams, experiments and studies say from all
that they had seen; of these nothing is recorded with a decision.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from config_store.document import ConfigDocument
from deployments.api.capacity import CAPACITY
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.tail import TAIL
from deployments.impact.recorded import AnsweredBy, LeftOutError, Recorded
from deployments.impact.replay import Numbers
from deployments.runtime.champions import NamedModel
from deployments.runtime.coverage.online_offsets import moved
from deployments.tail.answering import answer_rows
from models.digest import digest_of
from models.errors import ModelError
from models.model_version import folder_name
from models.pointer import read_pointer
from models.tail.xgboost_quantile import TailModel

CANNOT = (
    "the version gives its model other inputs or names another, and what that would say follows "
    "from more than was recorded"
)

SAYS_ELSE = "its model, asked the same again, says something else"


def named_by(document: ConfigDocument, family: InferenceEndpoint) -> NamedModel | None:
    """Give the model that a version names for a family; None where it comes with the release."""
    if family.name == TAIL.name:
        return NamedModel(document.serving.tail.model, document.serving.tail.alias)
    if family.name == CAPACITY.name:
        # Which forecaster is meant a request may say itself: it is one of the inputs.
        return NamedModel(CAPACITY.name, document.serving.capacity.alias)
    return None


@dataclass(frozen=True, slots=True)
class Question:
    """A decision about which a model is asked again."""

    recorded: Recorded
    then: Numbers  # what it was asked with
    now: Numbers  # what another version would have asked it with
    said: Numbers | None

    @property
    def is_the_same(self) -> bool:
        return all(_equal(self.then.get(name), value) for name, value in self.now.items())


class AskedAgain:
    """The models of one folder, loaded as they are needed."""

    def __init__(self, models: Path) -> None:
        self._models = models

    def ask(
        self, asked: Sequence[Question], named: NamedModel | None, outputs: Sequence[str]
    ) -> list[Numbers | str | None]:
        """Ask the tail model about some rows: the one that answered each, or another by its name.

        Gives what it says of each, None where it refuses them, or in words why it cannot be asked.
        The one that answered is asked first what it was asked then, and must say the same.
        """
        found: dict[int, Numbers | str | None] = {}
        parts: dict[AnsweredBy | None, list[int]] = {}
        for place, each in enumerate(asked):
            parts.setdefault(None if named else each.recorded.model, []).append(place)
        for model, places in parts.items():
            part = [asked[place] for place in places]
            try:
                if named is not None:
                    said = self._predict(part, self._named(named), outputs)
                    found |= dict(zip(places, said, strict=True))
                else:
                    found |= dict(zip(places, self._by_its_own(part, model, outputs), strict=True))
            except LeftOutError as why:
                found |= dict.fromkeys(places, str(why))
        return [found[place] for place in range(len(asked))]

    def _by_its_own(
        self, asked: Sequence[Question], model: AnsweredBy | None, outputs: Sequence[str]
    ) -> list[Numbers | str | None]:
        then = self._predict([replace(each, now=each.then) for each in asked], model, outputs)
        now = self._predict(asked, model, outputs)
        return [
            said
            if all(_equal((each.said or {}).get(name), (was or {}).get(name)) for name in outputs)
            else SAYS_ELSE
            for each, was, said in zip(asked, then, now, strict=True)
        ]

    def _named(self, named: NamedModel) -> AnsweredBy:
        try:
            found = read_pointer(self._models, named.model, named.alias)
        except ModelError as error:
            raise LeftOutError(str(error)) from error
        if found is None:
            raise LeftOutError(f"no version of {named.model} is its {named.alias}")
        return AnsweredBy(found.name, found.version, found.digest)

    def _predict(
        self, asked: Sequence[Question], by: AnsweredBy | None, outputs: Sequence[str]
    ) -> list[Numbers | None]:
        if by is None:
            raise LeftOutError("the model that answered it was not recorded")
        inputs = {name: np.array([each.now[name] for each in asked]) for name in asked[0].now}
        rows = [each.recorded for each in asked]
        columns = answer_rows(self._load(by), inputs, [row.entity for row in rows])
        if not columns:
            return [None] * len(rows)
        if any(row.online for row in rows):
            # Outcomes that had come by then widen an interval, whoever said it.
            offsets = np.array([row.online["offset"] if row.online else 0.0 for row in rows])
            lower, upper = moved(columns["lower"], columns["upper"], offsets)
            columns |= {"lower": lower, "upper": upper}
        lists = {name: columns[name].tolist() for name in outputs if name in columns}
        return [{name: values[at] for name, values in lists.items()} for at in range(len(rows))]

    def _load(self, by: AnsweredBy) -> TailModel:
        folder = self._models / folder_name(by.name) / by.version
        if not folder.is_dir():
            raise LeftOutError(f"the files of {by.name} {by.version} are not here any more")
        if by.digest and _digest(folder) != by.digest:
            raise LeftOutError(f"the files of {by.name} {by.version} are others than those then")
        try:
            return _loaded(folder)
        except ModelError as error:
            raise LeftOutError(f"{by.name} {by.version} cannot be loaded: {error}") from error


@lru_cache(maxsize=4)
def _loaded(folder: Path) -> TailModel:
    return TailModel.load(folder)


@lru_cache(maxsize=16)
def _digest(folder: Path) -> str:
    return digest_of(folder)


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))
