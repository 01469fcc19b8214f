"""What a Prometheus has now: which series, and which labels are on them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from features.sources.prometheus.api import PrometheusApi


@dataclass(frozen=True, slots=True)
class Labelled:
    """How often each value of one label stands on the series of each name."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def on(self, name: str) -> int:
        return sum(self.counts.get(name, {}).values())

    def values(self, names: Iterable[str]) -> set[str]:
        return {value for name in names for value in self.counts.get(name, {})}


@dataclass(frozen=True, slots=True)
class Inventory:
    """The series by name, and what their labels are."""

    series: Mapping[str, int]
    labels: Mapping[str, Labelled]

    def label(self, name: str) -> Labelled:
        return self.labels.get(name, Labelled())

    def share(self, label: str, names: Iterable[str]) -> float:
        """Give the share of the series that have the label, each name counted alike."""
        shares = [self.label(label).on(name) / self.series[name] for name in names]
        return sum(shares) / len(shares) if shares else 0.0


async def take_inventory(
    prometheus: PrometheusApi, names: Iterable[str], labels: Iterable[str], at: int
) -> Inventory:
    """Count the series of these names, and those that have each label."""
    which = _named(names)
    series = await prometheus.query(f"count by (__name__) ({{{which}}})", at)
    return Inventory(
        {each.labels["__name__"]: int(each.value) for each in series},
        {label: await _labelled(prometheus, which, label, at) for label in labels},
    )


async def _labelled(prometheus: PrometheusApi, which: str, label: str, at: int) -> Labelled:
    asked = f'count by (__name__, {label}) ({{{which},{label}!=""}})'
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for each in await prometheus.query(asked, at):
        counts[each.labels["__name__"]][each.labels[label]] = int(each.value)
    return Labelled(counts)


def _named(names: Iterable[str]) -> str:
    return f'__name__=~"{"|".join(sorted(names))}"'
