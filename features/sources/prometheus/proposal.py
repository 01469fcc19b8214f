"""Proposes how the series of a Prometheus become metrics: what is there, and what is missing."""

from collections.abc import Iterable, Sequence

from features.errors import NothingUsableError
from features.sources.prometheus.adapted import Adapter, left_out
from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.catalogue.convention import Convention
from features.sources.prometheus.catalogue.conventions import (
    CONVENTIONS,
    ENTITY_LABELS,
    LAST_RESORT,
    STARTS,
    VERSION_LABELS,
    WATCHERS,
)
from features.sources.prometheus.entity_label import choose_label
from features.sources.prometheus.inventory import Inventory, take_inventory
from features.sources.prometheus.proposed import METRICS, Chosen, Proposal, missing
from features.sources.prometheus.scrapes import scrapes_of
from features.sources.prometheus.trial import Trial
from features.sources.rules import Mapping, Selector

# What was not there in the last hour is not there.
LOOKBACK_SECONDS = 3600
SHOWN_NAMES = 5


async def propose(
    api: PrometheusApi,
    *,
    at: int,
    cadence_seconds: int,
    entity: str | None = None,
    plain: bool = False,
) -> Proposal:
    """Look at what is there at a time, epoch seconds, and propose a mapping of it.

    NothingUsableError says why there is none. A Prometheus that only measures itself and hosts is
    proposed as such. A plain mapping has only rules that a receiver of samples can evaluate.
    """
    names = set(await api.label_values("__name__", start=at - LOOKBACK_SECONDS, stop=at))
    services, others = _with_series(CONVENTIONS, names), _with_series(LAST_RESORT, names)
    if not services and not others:
        raise NothingUsableError(_unknown(names))
    if plain:
        everything = _names(services, others)
        services, others = _plain(services), _plain(others)
        if not services and not others:
            raise NothingUsableError(_takes_promql(everything))
    inventory = await take_inventory(
        api, _names(services, others) | names & {*WATCHERS, *STARTS}, _labels(entity), at
    )
    proposer = _Proposer(api, inventory, names, at, cadence_seconds, entity, plain=plain)
    for conventions, alone in ((services, False), ([*others, *services], True)):
        proposal = await proposer.propose(conventions, alone=alone)
        if proposal is not None:
            return proposal
    raise NothingUsableError(
        await _no_value(api, inventory, _first_series([*services, *others]), at, cadence_seconds)
    )


async def _no_value(
    api: PrometheusApi, inventory: Inventory, names: Sequence[str], at: int, cadence_seconds: int
) -> str:
    there = [each for each in names if each in inventory.series] or names
    found = await scrapes_of(api, there[0], at)
    if found is None:
        return (
            f"its {there[0]} has no sample yet of the last whole interval of {cadence_seconds} s. "
            f"Where it was started lately, run the command again in {2 * cadence_seconds} s"
        )
    if advice := found.advice(cadence_seconds):
        return f"its {found.name} {advice}"
    few = ", ".join(names[:SHOWN_NAMES])
    return (
        f"its {few} gave no value in the last {cadence_seconds} s. See at the Prometheus, under "
        "/targets, whether what it scrapes is up"
    )


class _Proposer:
    """What is known of one Prometheus while a proposal is made."""

    def __init__(
        self,
        api: PrometheusApi,
        inventory: Inventory,
        names: set[str],
        at: int,
        cadence_seconds: int,
        entity: str | None,
        *,
        plain: bool,
    ) -> None:
        self._api = api
        self._inventory = inventory
        self._names = names
        self._at = at
        self._cadence = cadence_seconds
        self._entity = entity
        self._plain = plain

    async def propose(self, conventions: Sequence[Convention], *, alone: bool) -> Proposal | None:
        """Propose what these conventions give; alone, nothing better is there, and all count."""
        fitting = [each for each in conventions if self._fits(each)]
        if not fitting:
            return None
        traffic = _traffic(fitting)
        entity = await self._named_by(traffic or _first_series(fitting))
        leave = set() if alone else self._no_services(entity, traffic, _first_series(fitting))
        adapter = Adapter(entity, self._cadence)
        trial = Trial(self._api, self._inventory, adapter, leave, self._at, plain=self._plain)
        chosen = await trial.choose(fitting)
        if not any(each.newest for each in chosen):
            return None
        chosen.sort(key=lambda each: METRICS.index(each.metric))
        starts = self._deploys(entity, leave)
        mapping = Mapping(
            entity=entity,
            metrics={each.metric: each.rule for each in chosen},
            deploys=starts,
            version_label=None if starts is None else self._version(starts.name),
        )
        lacking = missing(chosen, self._names, _plain(CONVENTIONS) if self._plain else CONVENTIONS)
        left = tuple(sorted(leave))
        return Proposal(
            mapping, tuple(chosen), lacking, left, await self._why_silent(chosen, traffic)
        )

    async def _why_silent(self, chosen: Sequence[Chosen], traffic: Sequence[str]) -> str:
        """Say why metrics have no value in the newest interval, where the scrapes tell."""
        names = [each.conventions[0].series[0] for each in chosen if not each.newest]
        if "request_rate" not in {each.metric for each in chosen}:
            names += traffic
        if (name := next(iter(names), None)) is None:
            return ""
        found = await scrapes_of(self._api, name, self._at)
        advice = "" if found is None else found.advice(self._cadence)
        return f"{name} {advice}" if advice else ""

    def _fits(self, convention: Convention) -> bool:
        there = self._inventory.series
        return all(name in there for name in convention.series) and all(
            self._inventory.label(label).on(convention.series[0]) for label in convention.labels
        )

    async def _named_by(self, names: Sequence[str]) -> str:
        if self._entity is not None:
            if self._inventory.label(self._entity).values(names):
                return self._entity
            raise NothingUsableError(
                f"none of {', '.join(names[:SHOWN_NAMES])} has the label {self._entity}; "
                f"{self._labels_there(names)}"
            )
        found = choose_label(self._inventory, names)
        if found is None:
            there = await self._api.label_names(list(names), self._at - LOOKBACK_SECONDS, self._at)
            others = ", ".join(label for label in there if not label.startswith("__"))
            raise NothingUsableError(
                f"no label of {', '.join(names[:SHOWN_NAMES])} is known to name a service; it has "
                f"{others}: name one with --entity-label"
            )
        return found.label

    def _labels_there(self, names: Sequence[str]) -> str:
        there = [each for each in ENTITY_LABELS if self._inventory.label(each).values(names)]
        return f"they have {', '.join(there)}" if there else "leave --entity-label out"

    def _no_services(self, entity: str, traffic: Sequence[str], names: Sequence[str]) -> set[str]:
        """Give who serves no requests; where nobody does, who only watches the others."""
        label = self._inventory.label(entity)
        watchers = label.values(WATCHERS)
        everyone = label.values(names)
        services = label.values(traffic) - watchers
        return everyone - services if services else everyone & watchers

    def _deploys(self, entity: str, leave: set[str]) -> Selector | None:
        for name in STARTS:
            there = self._inventory.label(entity).values([name])
            if there - leave:
                but = left_out(entity, leave & there)
                return Selector(name=name, where=() if but is None else (but,))
        return None

    def _version(self, starts: str) -> str | None:
        there = (each for each in VERSION_LABELS if self._inventory.label(each).on(starts))
        return next(there, None)


def _with_series(conventions: Iterable[Convention], names: set[str]) -> list[Convention]:
    return [each for each in conventions if names.issuperset(each.series)]


def _plain(conventions: Iterable[Convention]) -> list[Convention]:
    return [each for each in conventions if each.plain]


def _names(*conventions: Iterable[Convention]) -> set[str]:
    return {name for group in conventions for each in group for name in each.series}


def _first_series(conventions: Iterable[Convention]) -> list[str]:
    return sorted({each.series[0] for each in conventions})


def _traffic(conventions: Iterable[Convention]) -> list[str]:
    return _first_series(each for each in conventions if each.metric == "request_rate")


def _labels(entity: str | None) -> set[str]:
    needed = {label for each in (*CONVENTIONS, *LAST_RESORT) for label in each.labels}
    return {*ENTITY_LABELS, *VERSION_LABELS, *needed, *([] if entity is None else [entity])}


def _takes_promql(names: set[str]) -> str:
    few = ", ".join(sorted(names)[:SHOWN_NAMES])
    return (
        f"what is known of {few} takes PromQL, which only a Prometheus that is asked can run: "
        "`ballast connect prometheus` connects one"
    )


def _unknown(names: set[str]) -> str:
    if not names:
        return (
            "it has had no series in the last hour. See whether it scrapes anything; where it was "
            "started a moment ago, run the command again in some minutes"
        )
    few = ", ".join(sorted(names)[:SHOWN_NAMES])
    return (
        f"none of its {len(names)} metrics is of a known convention (it has {few}). "
        "docs/sources.md lists them, and docs/sources/prometheus.md shows how to write a mapping"
    )
