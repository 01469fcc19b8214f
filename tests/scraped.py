"""Series as a Prometheus would have scraped them, as OpenMetrics with a time on each sample."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

SCRAPE_SECONDS = 15
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Scraped(NamedTuple):
    """One series; a counter rises by `slope` a second, a gauge has none."""

    name: str
    labels: Mapping[str, str]
    value: float = 0.0
    slope: float = 0.0


def counter(name: str, a_second: float, **labels: str) -> Scraped:
    return Scraped(name, labels, 0.0, a_second)


def gauge(name: str, value: float, **labels: str) -> Scraped:
    return Scraped(name, labels, value)


def histogram(
    name: str,
    a_second: float,
    labels: Mapping[str, str],
    *,
    unit: float = 1.0,
    even_to: float = 0.1,
    power: float = 1.0,
) -> Iterator[Scraped]:
    """Give a histogram of durations up to `even_to` seconds: evenly, or more of them short.

    The share of those up to a part of it is that part to a power.
    """
    for bound in BUCKETS:
        share = min(bound / even_to, 1.0) ** power
        yield counter(f"{name}_bucket", a_second * share, **labels, le=f"{bound * unit:g}")
    yield counter(f"{name}_bucket", a_second, **labels, le="+Inf")
    yield counter(f"{name}_count", a_second, **labels)
    mean = even_to * power / (1 + power)
    yield counter(f"{name}_sum", a_second * mean * unit, **labels)


def openmetrics(series: Iterable[Scraped], until: int, seconds: int = 600) -> str:
    """Write the series up to a time, one sample every 15 s."""
    begin = until - seconds
    return "".join(
        f"{each.name}{_labels(each.labels)} {each.value + each.slope * (ts - begin):.9g} {ts}\n"
        for each in series
        for ts in range(begin, until + 1, SCRAPE_SECONDS)
    )


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"
