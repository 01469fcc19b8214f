"""All features together: none twice, none unknown, none that needs itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from features.definitions.definition import Definition, Kind, Live
from features.definitions.shipped import SHIPPED
from features.errors import BadDefinitionError, UnknownFeaturesError


class Catalogue:
    """The shipped definitions, and those of the configuration; raises BadDefinitionError."""

    def __init__(
        self, own: Sequence[Definition] = (), *, live_ttl_seconds: float | None = None
    ) -> None:
        shipped = [_with_ttl(each, live_ttl_seconds) for each in SHIPPED]
        self.by_name: dict[str, Definition] = {each.name: each for each in shipped}
        for each in own:
            if each.name in self.by_name:
                raise BadDefinitionError(each.name, "there is one of this name: choose another")
            self.by_name[each.name] = each
        self._order = self._ordered()
        self.versions: dict[str, str] = {}
        for name in self._order:
            self.versions[name] = self.by_name[name].version(self.versions)

    def known(self, names: Iterable[str]) -> tuple[str, ...]:
        """Give the names, each once; raises UnknownFeaturesError."""
        chosen = tuple(dict.fromkeys(names))
        if unknown := [name for name in chosen if name not in self.by_name]:
            raise UnknownFeaturesError({name: self._meant(name) for name in unknown})
        return chosen

    def order(self, names: Iterable[str]) -> list[str]:
        """Name these features and all that they are computed of, inputs first."""
        needed, left = set[str](), list(names)
        while left:
            name = left.pop()
            if name not in needed:
                needed.add(name)
                left += self.inputs(name)
        return [name for name in self._order if name in needed]

    def ttl_seconds(self, name: str) -> float:
        """Give the time to live; of a derived one the shortest of its inputs'."""
        own = self.by_name[name].ttl_seconds
        return own if own is not None else min(self.ttl_seconds(each) for each in self.inputs(name))

    def inputs(self, name: str) -> tuple[str, ...]:
        """Name the features that one is computed of; of a stored one none."""
        found = self.by_name[name]
        return found.source if found.kind is Kind.DERIVED else ()

    def _ordered(self) -> list[str]:
        graph = {name: self.inputs(name) for name in self.by_name}
        for name, inputs in graph.items():
            for each in inputs:
                if each not in self.by_name:
                    raise BadDefinitionError(
                        name, f"there is no feature {each!r}{self._meant(each)}"
                    )
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            circle = " <- ".join(error.args[1])
            raise BadDefinitionError(error.args[1][0], f"it needs itself: {circle}") from error

    def _meant(self, name: str) -> str:
        near = get_close_matches(name, self.by_name, n=1)
        return f"; did you mean {near[0]!r}?" if near else ""


def _with_ttl(definition: Definition, seconds: float | None) -> Definition:
    if seconds is None or not isinstance(definition.computed, Live):
        return definition
    return replace(definition, ttl_seconds=seconds)


STORED: tuple[Definition, ...] = tuple(each for each in SHIPPED if each.kind is not Kind.DERIVED)
"""What is published of each entity, in this order."""
