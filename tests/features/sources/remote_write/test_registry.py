"""What senders write into a bucket's bound is a number or none, and costs nobody any time."""

import math
import time

import pytest

from features.sources.remote_write.needed import Series
from features.sources.remote_write.registry import Registry
from features.sources.rules import Mapping, Quantile, Selector

LATENCY = Selector(name="latency")
BUCKETS = Selector(name="latency_bucket")
MAPPING = Mapping(entity="job", metrics={"p99_ms": Quantile(of=LATENCY, level=0.99)})


def bound_of(text: str) -> float:
    registry = Registry(MAPPING)
    registry.rows([Series(1, BUCKETS.name, (("job", "orders"), ("le", text)))])
    bound: float = registry.select(BUCKETS).bounds[0]
    return bound


@pytest.mark.parametrize(
    ("text", "bound"),
    [("0.5", 0.5), ("+Inf", math.inf), ("1e-3", 1e-3), (".5", 0.5), ("2.", 2.0), ("-1", -1.0)],
)
def test_a_bound_is_read_as_prometheus_writes_it(text: str, bound: float) -> None:
    assert bound_of(text) == bound


@pytest.mark.parametrize("text", ["", "1_0", "nan", "five", "1e", "0." + "1" * 63])
def test_what_is_no_number_bounds_nothing(text: str) -> None:
    assert math.isnan(bound_of(text))


@pytest.mark.parametrize("text", ["1" * 8191 + "x", "." + "1" * 8190 + "e"])
def test_a_long_bound_holds_nobody_up(text: str) -> None:
    begun = time.thread_time()
    for _ in range(5):
        assert math.isnan(bound_of(text))
    assert time.thread_time() - begun < 0.5
