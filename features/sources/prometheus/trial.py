"""Tries conventions on a Prometheus: which entities each gives a value of."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from features.errors import SourceRefusedError
from features.sources.prometheus.adapted import adapt, first_of, renamed
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.catalogue.convention import Convention
from features.sources.prometheus.catalogue.conventions import ENTITY_LABELS
from features.sources.prometheus.inventory import Inventory
from features.sources.prometheus.promql import written
from features.sources.prometheus.proposed import Chosen
from features.sources.rules import Matcher, Metric, Rule

# Another label names the same entities where at least this share of them is among its values.
ENOUGH_SHARED = 0.5


class _Tried(NamedTuple):
    convention: Convention
    rule: Rule
    values: Mapping[str, float]  # by entity; NaN where there is a series and no value


class Trial:
    """One Prometheus at one time, with the label that names its entities."""

    def __init__(
        self,
        api: PrometheusApi,
        inventory: Inventory,
        entity: str,
        but: Matcher | None,
        at: int,
        cadence_seconds: int,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._entity = entity
        self._but = but
        self._at = at
        self._cadence = cadence_seconds

    async def choose(self, conventions: Iterable[Convention]) -> tuple[Chosen, ...]:
        """Give the best rule for each metric that any of the conventions gives."""
        by_metric: dict[Metric, list[Convention]] = defaultdict(list)
        for each in sorted(conventions, key=lambda each: each.rank):
            by_metric[each.metric].append(each)
        # Which entities there are is known of their requests, before anything is joined to them.
        requests = await self._best(by_metric.pop("request_rate", []), None)
        others = await asyncio.gather(
            *(self._best(group, requests) for group in by_metric.values())
        )
        return tuple(each for each in (requests, *others) if each is not None)

    async def _best(
        self, conventions: Sequence[Convention], requests: Chosen | None
    ) -> Chosen | None:
        rules: dict[Rule, Convention] = {}
        for each in conventions:
            rule = self._rule(each, requests)
            if rule is not None:
                rules.setdefault(rule, each)
        tried = await asyncio.gather(
            *(self._try(convention, rule) for rule, convention in rules.items())
        )
        return self._chosen(_fewest([each for each in tried if each.values]))

    def _rule(self, convention: Convention, requests: Chosen | None) -> Rule | None:
        """Give the rule, by another label where its series lack the entity's own."""
        name = convention.series[0]
        if self._inventory.label(self._entity).on(name):
            return adapt(convention.rule, self._entity, self._but)
        other = None if requests is None else self._other_label(name, set(requests.values))
        if requests is None or other is None:
            return None
        rule = adapt(convention.rule, other, None)
        return renamed(rule, other, self._entity, requests.rule)

    def _other_label(self, name: str, entities: set[str]) -> str | None:
        shared = {
            label: len(entities & self._inventory.label(label).values([name]))
            for label in ENTITY_LABELS
        }
        best = max(shared, key=lambda label: shared[label])
        return best if shared[best] >= ENOUGH_SHARED * len(entities) else None

    async def _try(self, convention: Convention, rule: Rule) -> _Tried:
        try:
            samples = await self._api.query(self._written(rule), self._at)
        except SourceRefusedError:
            # One release lacks a function that another has: a convention less, not a failure.
            samples = []
        entities = {each.labels.get(self._entity, ""): each.value for each in samples}
        return _Tried(convention, rule, {name: v for name, v in entities.items() if name})

    def _chosen(self, taken: Sequence[_Tried]) -> Chosen | None:
        if not taken:
            return None
        values = {name: v for each in reversed(taken) for name, v in each.values.items()}
        rule = first_of([each.rule for each in taken], self._entity)
        return Chosen(
            metric=taken[0].convention.metric,
            rule=rule,
            promql=self._written(rule),
            conventions=tuple(each.convention for each in taken),
            values=values,
        )

    def _written(self, rule: Rule) -> str:
        return written(rule, self._entity, f"{self._cadence}s")


def _fewest(tried: Sequence[_Tried]) -> list[_Tried]:
    """Take the first that has all entities, else each that adds some, in their order."""
    everyone = {name for each in tried for name in each.values}
    for each in tried:
        if each.values.keys() == everyone:
            return [each]
    taken: list[_Tried] = []
    covered = set[str]()
    for each in tried:
        if each.values.keys() - covered:
            taken.append(each)
            covered |= each.values.keys()
    return taken
