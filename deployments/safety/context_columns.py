"""Context columns: what a policy reads besides a batch's own columns, such as the hour or a freeze.

The gateway adds them to what it sends to safety, and a replay to what it judges again.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from config_store.store import Version
from deployments.api.endpoint import InferenceEndpoint
from deployments.runtime.batch import Batch, Detail, FloatArray, Judgement
from deployments.safety.list_items import ListItems
from safety.columns import PARAMETER, TIME_COLUMNS, is_parameter
from safety.moments import NOWHERE, Place, Window, time_columns
from safety.policy import FamilyPolicy

# As many versions as a batch may be of: what each needs is asked of its policy once.
MOST_VERSIONS = 8
# Of a parameter whose choices have names, and that is none of them.
NO_CHOICE = -1.0


def no_freezes() -> Sequence[Window]:
    """Say that nothing is frozen, where nobody can freeze anything."""
    return ()


class _Needed(NamedTuple):
    """The context columns of one version's policy."""

    times: bool
    parameters: tuple[str, ...]


class ContextColumns:
    """Adds them to the batches of one family, and writes back what safety moved."""

    def __init__(
        self, family: InferenceEndpoint, freezes: Callable[[], Sequence[Window]] = no_freezes
    ) -> None:
        self._family = family
        self._freezes = freezes
        self._needed: OrderedDict[str, _Needed] = OrderedDict()

    def to_safety(
        self,
        batch: Batch,
        details: Sequence[Detail | None],
        version: Version,
        now: float | FloatArray,
    ) -> tuple[Batch, ListItems | None]:
        """Give the batch as safety judges it: a row more for each item, and the context."""
        items = None
        if self._family.nested is not None and any(each is not None for each in details):
            items = ListItems.of(self._family.nested, details)
            batch = items.unfold(batch, details)
        self.add(batch, details, items, version, now)
        return batch, items

    def from_safety(
        self,
        judgement: Judgement,
        details: Sequence[Detail | None],
        items: ListItems | None,
        version: Version,
    ) -> Judgement:
        """Give the judgement of the rows alone; what safety moved is written into the details."""
        if items is not None:
            judgement = items.fold(judgement, details, len(details))
        self.write_back(judgement, details, version)
        return judgement

    def add(
        self,
        judged: Batch,
        details: Sequence[Detail | None],
        items: ListItems | None,
        version: Version,
        now: float | FloatArray,
    ) -> None:
        """Add the context columns to a batch, its items among the rows.

        The time is that of all rows, or one for each of them.
        """
        needed = self._needs(version)
        if needed.times:
            rows = len(judged) - (0 if items is None else len(items.owners))
            moments = np.empty(len(judged))
            moments[:rows] = now
            if items is not None:
                moments[rows:] = items.moments(details)
            judged.columns |= time_columns(moments, _places(judged, version), self._freezes())
        if needed.parameters and self._family.parameters and details:
            codes = self._policy(version).codes
            for name in needed.parameters:
                judged.columns[name] = self._parameter(details, name, codes.get(name, ()))

    def write_back(
        self, judgement: Judgement, details: Sequence[Detail | None], version: Version
    ) -> None:
        """Write the parameters that safety moved into the details they came from."""
        for name in self._needs(version).parameters:
            if name not in judgement.columns:
                continue
            choices = self._policy(version).codes.get(name, ())
            short = name.removeprefix(PARAMETER)
            for detail, number in zip(details, judgement.columns[name].tolist(), strict=True):
                if detail is None or short not in (held := self._held(detail)):
                    continue
                before, held[short] = held[short], _moved(held[short], number, choices)
                if held[short] != before:
                    meta = detail.get("meta", {})
                    detail["meta"] = meta | {"moved": [*meta.get("moved", ()), short]}

    def _parameter(
        self, details: Sequence[Detail | None], name: str, choices: Sequence[str]
    ) -> FloatArray:
        short = name.removeprefix(PARAMETER)
        held = [{} if detail is None else self._held(detail) for detail in details]
        return np.array([_number(each.get(short), choices) for each in held], dtype=np.float64)

    def _held(self, detail: Detail) -> dict[str, Any]:
        held: dict[str, Any] = detail["data"][self._family.parameters]
        return held

    def _needs(self, version: Version) -> _Needed:
        needed = self._needed.get(version.config_hash)
        if needed is None:
            names = self._policy(version).context_columns()
            needed = self._needed[version.config_hash] = _Needed(
                any(name in TIME_COLUMNS for name in names), tuple(filter(is_parameter, names))
            )
            if len(self._needed) > MOST_VERSIONS:
                self._needed.popitem(last=False)
        return needed

    def _policy(self, version: Version) -> FamilyPolicy:
        return version.document.safety.families[self._family.name]


def _places(judged: Batch, version: Version) -> list[Place]:
    """Say by which calendar each row's entity goes."""
    stated = version.document.sources.entities
    known = {
        entity: NOWHERE
        if (facts := stated.get(entity)) is None
        else Place(facts.exchange, facts.time_zone)
        for entity in set(judged.entities)
    }
    return [known[entity] for entity in judged.entities]


def _number(value: Any, choices: Sequence[str]) -> float:
    """Give a parameter's value as a number: of named choices which it is, of other texts none."""
    if value is None:
        return np.nan
    if choices:
        return float(choices.index(value)) if value in choices else NO_CHOICE
    return np.nan if isinstance(value, str) else float(value)


def _moved(value: Any, number: float, choices: Sequence[str]) -> Any:
    """Give a parameter's value after safety, of the type that it had before."""
    before = _number(value, choices)
    if number == before or np.isnan(number):
        return value
    if choices:
        return choices[int(number)]
    if isinstance(value, int):
        # A limit between two whole numbers is kept by the one on its inner side.
        return type(value)(np.ceil(number) if number > before else np.floor(number))
    return number
