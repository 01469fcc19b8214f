"""Tries conventions on a Prometheus: which entities each gives a value of."""

import asyncio
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from features.errors import SourceRefusedError
from features.sources.prometheus.adapted import Adapter, left_out
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.catalogue.convention import Convention
from features.sources.prometheus.catalogue.conventions import ENTITY_LABELS
from features.sources.prometheus.inventory import Inventory
from features.sources.prometheus.promql import expression_of
from features.sources.prometheus.proposed import Chosen
from features.sources.rules import Metric, Rule

# Another label names the same entities where at least this share of them is among its values.
ENOUGH_SHARED = 0.5
# A service that is idle now had requests in the last hour; which convention fits is seen by that.
TRIED_SECONDS = 3600


class _Tried(NamedTuple):
    convention: Convention
    rule: Rule
    entities: AbstractSet[str]


class Trial:
    """One Prometheus at one time, with the label that names its entities."""

    def __init__(
        self,
        api: PrometheusApi,
        inventory: Inventory,
        adapter: Adapter,
        leave: AbstractSet[str],
        at: int,
        *,
        plain: bool = False,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._adapter = adapter
        self._leave = leave
        self._at = at
        self._plain = plain

    async def choose(self, conventions: Iterable[Convention]) -> list[Chosen]:
        """Give the best rule for each metric that any of the conventions gives."""
        by_metric: dict[Metric, list[Convention]] = defaultdict(list)
        for each in sorted(conventions, key=lambda each: each.rank):
            by_metric[each.metric].append(each)
        # Which entities there are is known of their requests, before anything is joined to them.
        requests = await self._best(by_metric.pop("request_rate", []), None)
        others = await asyncio.gather(
            *(self._best(group, requests) for group in by_metric.values())
        )
        return [each for each in (requests, *others) if each is not None]

    async def _best(
        self, conventions: Sequence[Convention], requests: Chosen | None
    ) -> Chosen | None:
        rules: dict[Rule, Convention] = {}
        for each in conventions:
            rule = self._rule(each, requests)
            if rule is not None:
                rules.setdefault(rule, each)
        tried = await asyncio.gather(*(self._try(each, rule) for rule, each in rules.items()))
        fitting = [each for each in tried if each.entities]
        return await self._chosen(_most(fitting) if self._plain else _fewest(fitting))

    def _rule(self, convention: Convention, requests: Chosen | None) -> Rule | None:
        """Give the rule, by another label where its series lack the entity's own."""
        name, entity = convention.series[0], self._adapter.entity
        label = self._inventory.label(entity)
        if requests is not None and not label.values([name]) - self._leave:
            return None if self._plain else self._by_another_label(convention, requests)
        but = left_out(entity, self._leave & label.values(convention.series))
        return self._adapter.adapt(convention.rule, but)

    def _by_another_label(self, convention: Convention, requests: Chosen) -> Rule | None:
        """Give it where enough of the entities have the name that another label has."""
        entities = requests.entities
        names = {
            label: self._inventory.label(label).values(convention.series[:1])
            for label in ENTITY_LABELS
        }
        other = max(names, key=lambda label: len(entities & names[label]))
        if len(entities & names[other]) < ENOUGH_SHARED * len(entities):
            return None
        rule = self._adapter.adapt(convention.rule, None, other)
        return self._adapter.renamed(rule, other, requests.rule)

    async def _try(self, convention: Convention, rule: Rule) -> _Tried:
        try:
            found = await self._values(rule, TRIED_SECONDS)
        except SourceRefusedError:
            # One release lacks a function that another has: a convention less, not a failure.
            found = {}
        return _Tried(convention, rule, found.keys())

    async def _chosen(self, taken: Sequence[_Tried]) -> Chosen | None:
        if not taken:
            return None
        rule = self._adapter.first_of([each.rule for each in taken])
        return Chosen(
            metric=taken[0].convention.metric,
            rule=rule,
            promql=self._adapter.written(rule),
            conventions=tuple(each.convention for each in taken),
            entities=frozenset().union(*(each.entities for each in taken)),
            newest=await self._values(rule, self._adapter.cadence_seconds),
        )

    async def _values(self, rule: Rule, seconds: int) -> Mapping[str, float]:
        entity = self._adapter.entity
        samples = await self._api.query(expression_of(rule, entity, seconds), self._at)
        return {
            each.labels[entity]: each.value
            for each in samples
            if each.labels.get(entity) and math.isfinite(each.value)
        }


def _most(tried: Sequence[_Tried]) -> list[_Tried]:
    """Take the first of those that have the most entities: nothing but PromQL joins several."""
    return [max(tried, key=lambda each: len(each.entities))] if tried else []


def _fewest(tried: Sequence[_Tried]) -> list[_Tried]:
    """Take the first that has all entities, else each that adds some, in their order."""
    everyone = {name for each in tried for name in each.entities}
    for each in tried:
        if each.entities == everyone:
            return [each]
    taken: list[_Tried] = []
    covered = set[str]()
    for each in tried:
        if each.entities - covered:
            taken.append(each)
            covered |= each.entities
    return taken
