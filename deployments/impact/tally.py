"""Counts what a replay finds, in bounded memory, and reports it with how sure it is."""

import heapq
from array import array
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import numpy as np

from deployments.api.impact import (
    ExampleShown,
    FamilyShown,
    FieldShown,
    FlipShown,
    LeftOutShown,
    RuleShown,
    ShareShown,
)
from deployments.impact.shares import share_interval
from deployments.impact.wire import REFUSED, RUNG, Change, Outcome, Shown

EXAMPLES = 5
# Of kinds of flips, rules and reasons: a record that is full of them names the commonest.
MOST_KINDS = 50
# So many are told apart while they are counted: names of a study's parameters, and what is wrong
# with a record, are clients' words, and there may be as many as rows.
MOST_TRACKED = 1000
OTHERS = "others"
OF_ITEMS = "{} by {}"


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _kept(kinds: dict[K, V], kind: K, others: K, make: Callable[[], V]) -> V:
    """Give what is counted of a kind; where there are too many, of all that came too late."""
    if kind not in kinds and len(kinds) >= MOST_TRACKED:
        kind = others
    return kinds.setdefault(kind, make())


class Base(NamedTuple):
    """What shares are of: rows replayed, and about how many that stands for."""

    replayed: int
    among: int

    def share(self, rows: int) -> ShareShown:
        low, high = share_interval(rows, self.replayed, self.among)
        share = rows / self.replayed if self.replayed else 0.0
        about = round(share * self.among)
        return ShareShown(rows=rows, share=share, low=low, high=high, about=about)


class Examples:
    """The first few ids of each kind."""

    def __init__(self) -> None:
        self.count = 0
        self.ids: list[str] = []

    def add(self, decision_id: str) -> None:
        self.count += 1
        if len(self.ids) < EXAMPLES:
            self.ids.append(decision_id)


@dataclass(slots=True)
class _Field:
    rows: int = 0
    raised: int = 0
    lowered: int = 0
    sizes: "array[float]" = field(default_factory=lambda: array("d"))
    # By size; the number breaks ties, so that examples are never compared.
    largest: list[tuple[float, int, ExampleShown]] = field(default_factory=list)

    def add(self, decision_id: str, change: Change) -> None:
        self.rows += 1
        if (moved := _moved(change)) is not None:
            self.sizes.append(abs(moved))
            self.raised += moved > 0
            self.lowered += moved < 0
        example = ExampleShown(
            decision_id=decision_id, item=change.item, before=change.before, after=change.after
        )
        heapq.heappush(self.largest, (abs(moved or 0.0), -self.rows, example))
        if len(self.largest) > EXAMPLES:
            heapq.heappop(self.largest)

    def describe(self, base: Base) -> FieldShown:
        sizes = np.frombuffer(self.sizes, dtype=np.float64)
        median, p95, largest = (
            np.quantile(sizes, (0.5, 0.95, 1.0), method="inverted_cdf").tolist()
            if sizes.size
            else (None, None, None)
        )
        return FieldShown(
            changed=base.share(self.rows),
            median=median,
            p95=p95,
            largest=largest,
            raised=self.raised,
            lowered=self.lowered,
            examples=[example for *_, example in sorted(self.largest, reverse=True)],
        )


@dataclass(slots=True)
class _Family:
    read: int = 0
    replayed: int = 0
    asked_again: int = 0
    changed: int = 0
    flipped: int = 0
    refused: int = 0
    alarms: int = 0
    fields: dict[str, _Field] = field(default_factory=dict)
    flips: dict[tuple[str, str, str], Examples] = field(default_factory=dict)
    new: dict[tuple[str, str], Examples] = field(default_factory=dict)
    gone: dict[tuple[str, str], Examples] = field(default_factory=dict)


class Tally:
    """Outcomes in, a report out."""

    def __init__(self) -> None:
        self.read = 0
        self._families: dict[str, _Family] = {}
        self._versions: Counter[int] = Counter()
        self._left_out: dict[tuple[str, str], Examples] = {}

    def add(self, outcome: Outcome) -> None:
        self.read += 1
        why = outcome.get("left_out")
        family = self._families.setdefault(outcome.get("family", ""), _Family())
        family.read += 1
        if why is not None:
            kind = (outcome.get("family", ""), why)
            others = kind[0], OTHERS
            _kept(self._left_out, kind, others, Examples).add(outcome["id"])
            return
        self._versions[outcome["version"]] += 1
        _add(family, outcome)

    @property
    def replayed(self) -> int:
        return sum(each.replayed for each in self._families.values())

    @property
    def versions(self) -> dict[int, int]:
        return dict(self._versions)

    def changed(self, recorded: int | None) -> ShareShown:
        """Count the answers that change; where all were read, of nothing more than these."""
        base = _base(self.replayed, self.read, recorded)
        return base.share(sum(each.changed for each in self._families.values()))

    def flipped(self, recorded: int | None) -> ShareShown:
        base = _base(self.replayed, self.read, recorded)
        return base.share(sum(each.flipped for each in self._families.values()))

    def families(self, recorded: Mapping[str, int] | None) -> dict[str, FamilyShown]:
        """Show each family; `recorded` counts its rows where not all were read."""
        return {
            name: _describe(each, None if recorded is None else recorded.get(name, each.read))
            for name, each in sorted(self._families.items())
            if name
        }

    def left_out(self) -> list[LeftOutShown]:
        ordered = sorted(self._left_out.items(), key=lambda each: -each[1].count)
        return [
            LeftOutShown(family=family, reason=reason, rows=each.count, examples=each.ids)
            for (family, reason), each in ordered[:MOST_KINDS]
        ]


def _add(family: _Family, outcome: Outcome) -> None:
    decision_id = outcome["id"]
    family.replayed += 1
    family.asked_again += outcome["asked_again"]
    family.refused += bool(outcome["refused"])
    family.alarms += bool(outcome["alarm"])
    family.changed += bool(outcome["changes"] or outcome["refused"])
    family.flipped += any(kind not in (RUNG, REFUSED) for kind, *_ in outcome["flips"])
    for name, change in _largest(outcome["changes"]):
        _kept(family.fields, name, OTHERS, _Field).add(decision_id, change)
    for name, before, after in outcome["flips"]:
        _kept(family.flips, (name, before, after), (OTHERS, "", ""), Examples).add(decision_id)
    for kinds, found in ((family.new, outcome["new"]), (family.gone, outcome["gone"])):
        for rule, level in found:
            _kept(kinds, (rule, level), (OTHERS, ""), Examples).add(decision_id)


def _largest(
    changes: Iterable[tuple[str, int | None, Shown, Shown]],
) -> Iterator[tuple[str, Change]]:
    """Give each field's change; of the items of a list the largest, under a name of their own."""
    largest: dict[str, Change] = {}
    for each in (Change(*change) for change in changes):
        name = each.field if each.item is None else OF_ITEMS.format(each.field, "item")
        if name not in largest or _size(each) > _size(largest[name]):
            largest[name] = each
    yield from largest.items()


def _size(change: Change) -> float:
    return abs(_moved(change) or 0.0)


def _moved(change: Change) -> float | None:
    """Give by how much a number moved; None of a choice, and of an end that is open."""
    before, after = change.before, change.after
    if before is None or isinstance(before, bool | str):
        return None
    if after is None or isinstance(after, bool | str):
        return None
    return after - before


def _base(replayed: int, read: int, recorded: int | None) -> Base:
    """Say what a sample stands for: as large a part of all as of what was read."""
    if recorded is None or read == 0:
        return Base(replayed, replayed)
    # At least one more than was read: a sample is never all, however near it comes.
    return Base(replayed, max(round(recorded * replayed / read), replayed + 1))


def _describe(family: _Family, recorded: int | None) -> FamilyShown:
    base = _base(family.replayed, family.read, recorded)
    commonest = sorted(family.flips.items(), key=lambda each: -each[1].count)[:MOST_KINDS]
    rules = sorted(
        family.new.keys() | family.gone.keys(),
        key=lambda rule: (-_counted(family.new, rule) - _counted(family.gone, rule), rule),
    )
    nothing = Examples()
    return FamilyShown(
        recorded=family.read if recorded is None else recorded,
        read=family.read,
        replayed=family.replayed,
        asked_again=family.asked_again,
        changed=base.share(family.changed),
        refused=base.share(family.refused),
        alarms=base.share(family.alarms),
        fields={name: family.fields[name].describe(base) for name in _commonest(family.fields)},
        flips=[
            FlipShown(
                field=name,
                before=before,
                after=after,
                count=base.share(each.count),
                examples=each.ids,
            )
            for (name, before, after), each in commonest
        ],
        rules=[
            RuleShown(
                rule=rule[0],
                level=rule[1],
                new=base.share(_counted(family.new, rule)),
                gone=base.share(_counted(family.gone, rule)),
                new_examples=family.new.get(rule, nothing).ids,
                gone_examples=family.gone.get(rule, nothing).ids,
            )
            for rule in rules[:MOST_KINDS]
        ],
    )


def _commonest(fields: Mapping[str, _Field]) -> list[str]:
    return sorted(sorted(fields, key=lambda name: -fields[name].rows)[:MOST_KINDS])


def _counted(kinds: Mapping[tuple[str, str], Examples], rule: tuple[str, str]) -> int:
    return kinds[rule].count if rule in kinds else 0
