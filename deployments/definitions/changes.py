"""What a new configuration changes of definitions: which of them are compared together.

A definition counts as changed where what decides its value did. Those that depend on each other
are decided together, so that what is in force always fits together.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from deployments.definitions.in_force import ActiveDefinition

Named = Mapping[str, ActiveDefinition]


class Change(NamedTuple):
    """Changed definitions that depend on each other."""

    ids: dict[str, str]
    """Of the changed ones, as they are configured."""
    names: frozenset[str]
    """With those that follow from them, and those that came or went beside them."""


def changes(good: Named, wanted: Named) -> list[Change]:
    """Find what is to be compared; what only came or went is not."""
    changed = {name for name in good.keys() & wanted.keys() if good[name].id != wanted[name].id}
    inputs = _inputs(good, wanted)
    touched = changed | (good.keys() ^ wanted.keys())
    affected = _downstream(touched, inputs)
    return [
        Change({name: wanted[name].id for name in sorted(part & changed)}, frozenset(part))
        for part in _components(affected, inputs)
        if part & changed
    ]


def settled(good: Named, wanted: Named, held: Iterable[Change]) -> dict[str, ActiveDefinition]:
    """Give what is in force where some changes are held back."""
    found = dict(wanted)
    for change in held:
        for name in change.names & good.keys():
            if name in change.ids or name not in wanted:
                found[name] = good[name]
    return found


def _inputs(*each_named: Named) -> dict[str, set[str]]:
    """Name the own features that each needs, by one set of definitions or the other."""
    names = set().union(*each_named)
    found: dict[str, set[str]] = {name: set() for name in names}
    for named in each_named:
        for name, each in named.items():
            found[name] |= names & set(each.definition.needs)
    return found


def _downstream(names: set[str], inputs: Mapping[str, set[str]]) -> set[str]:
    found, grows = set(names), True
    while grows:
        more = {name for name, needs in inputs.items() if needs & found} - found
        found |= more
        grows = bool(more)
    return found


def _components(names: set[str], inputs: Mapping[str, set[str]]) -> list[set[str]]:
    parts: list[set[str]] = []
    for name in sorted(names):
        linked = {name} | (inputs[name] & names)
        touching = [part for part in parts if part & linked]
        parts = [part for part in parts if not part & linked]
        parts.append(linked.union(*touching))
    return parts
