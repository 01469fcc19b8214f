import math
from collections import defaultdict
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from observability.errors import SnapshotError
from observability.exposition import document, merge, snapshot, text
from observability.histogram import BatchHistogram
from observability.metrics import GAUGE_RULES, Metrics

NOW = 1000.0

labels = st.sampled_from(["a", 'quo"te', "back\\slash", "new\nline", "é"])
# Whole numbers: their sums are exact, in whatever order.
replica = st.fixed_dictionaries(
    {
        "counts": st.dictionaries(labels, st.integers(0, 10**9)),
        "seen": st.dictionaries(labels, st.lists(st.integers(0, 20), max_size=30)),
        "gauge": st.integers(-50, 50),
        "age": st.sampled_from([0.0, 14.0, 16.0, 10**6]),
    }
)


def registry(of: dict[str, Any]) -> CollectorRegistry:
    made = CollectorRegistry()
    counter = Counter("c_total", "A counter.", ["l"], registry=made)
    histogram = BatchHistogram("h", "A histogram.", ["l"], bounds=(5, 10), registry=made)
    for label, count in of["counts"].items():
        counter.labels(label).inc(count)
    for label, values in of["seen"].items():
        histogram.observe(values, label)
    for rule in ("sum", "max", "mean", "latest"):
        Gauge(f"g_{rule}", "A gauge.", registry=made).set(of["gauge"])
    return made


RULES: Any = {f"g_{rule}": rule for rule in ("sum", "max", "mean", "latest")}


def samples(exposed: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the text with the client library's own parser."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(replica, max_size=5))
def test_counters_and_histograms_are_the_sums_over_all_replicas_dead_or_alive(
    replicas: list[dict[str, Any]],
) -> None:
    registries = [registry(each) for each in replicas]
    taken = [
        snapshot(made, NOW - each["age"]) for made, each in zip(registries, replicas, strict=True)
    ]
    expected: defaultdict[Any, float] = defaultdict(float)
    for made in registries:
        for key, value in samples(generate_latest(made).decode()).items():
            expected[key] += value
    merged = samples(text(merge(taken, now=NOW, rules=RULES)))
    gauges = {key for key in merged if key[0].startswith("g_")}
    assert {key: value for key, value in merged.items() if key not in gauges} == {
        key: value for key, value in expected.items() if not key[0].startswith("g_")
    }


@given(st.lists(replica, min_size=1, max_size=5))
def test_gauges_are_those_of_living_replicas_by_their_rule(replicas: list[dict[str, Any]]) -> None:
    taken = [snapshot(registry(each), NOW - each["age"]) for each in replicas]
    merged = samples(text(merge(taken, now=NOW, rules=RULES)))
    living = [each for each in replicas if each["age"] <= 15]
    found = {name: value for (name, _), value in merged.items() if name.startswith("g_")}
    if not living:
        assert found == {}
        return
    values = [each["gauge"] for each in living]
    youngest = min(each["age"] for each in living)
    assert found["g_sum"] == sum(values)
    assert found["g_max"] == max(values)
    assert found["g_mean"] == pytest.approx(sum(values) / len(values))
    assert found["g_latest"] in {each["gauge"] for each in living if each["age"] == youngest}


@given(st.lists(replica, min_size=1, max_size=4), st.data())
def test_a_counter_never_goes_back_when_replicas_come_and_die(
    replicas: list[dict[str, Any]], choice: st.DataObject
) -> None:
    first = [snapshot(registry(each), NOW) for each in replicas]
    before = samples(text(merge(first, now=NOW, rules=RULES)))
    later = [*first, snapshot(registry(choice.draw(replica)), NOW + 60)]
    after = samples(text(merge(later, now=NOW + 60, rules=RULES)))
    for key, value in before.items():
        if not key[0].startswith("g_"):
            assert after[key] >= value


def test_one_replica_reads_as_if_it_had_been_asked_itself() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.answered("/models/tail-slo", 200, [0.004, 0.2])
    metrics.config_version.set(14)
    metrics.interval_coverage.labels("tail").set(math.nan)
    metrics.ledger_drain_lag_seconds.set(math.inf)
    itself = samples(generate_latest(metrics.registry).decode())
    merged = samples(text(merge([snapshot(metrics.registry, NOW)], now=NOW, rules=GAUGE_RULES)))
    key = ("interval_coverage", (("model", "tail"),))
    assert math.isnan(merged.pop(key))
    assert math.isnan(itself.pop(key))
    # Sums are rounded, so that they add up.
    assert merged == pytest.approx(itself, abs=1e-7, nan_ok=True)


def test_a_process_that_has_not_looked_at_the_disk_does_not_say_that_it_is_full() -> None:
    replica, history = (Metrics(CollectorRegistry()) for _ in range(2))
    replica.home_disk_free_bytes.set(5e9)
    replica.redis_memory_used_bytes.set(2e6)
    taken = [snapshot(replica.registry, NOW - 1), snapshot(history.registry, NOW)]
    merged = samples(text(merge(taken, now=NOW, rules=GAUGE_RULES)))
    assert merged["home_disk_free_bytes", ()] == 5e9
    assert merged["redis_memory_used_bytes", ()] == 2e6


def test_the_json_form_says_the_same() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.answered("/models/tail-slo", 200, [0.004] * 3)
    metrics.ledger_drain_lag_seconds.set(math.inf)
    families = merge([snapshot(metrics.registry, NOW)] * 2, now=NOW, rules=GAUGE_RULES)
    form = orjson.loads(orjson.dumps(document(families)))
    assert form["http_requests"]["type"] == "counter"
    assert form["http_requests"]["samples"] == [
        {
            "name": "http_requests_total",
            "labels": {"endpoint": "/models/tail-slo", "status": "200"},
            "value": 6.0,
        }
    ]
    assert form["ledger_drain_lag_seconds"]["samples"][0]["value"] is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"at":1,"families":[{}]}', b"\xff"])
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(SnapshotError):
        merge([data], now=NOW, rules=RULES)
