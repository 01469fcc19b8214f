import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from observability.metrics import GAUGE_RULES, Metrics

# The names and labels that dashboards and alerts of the older back ends use.
KEPT = {
    "http_requests_total": ("counter", ("endpoint", "status")),
    "http_request_duration_seconds": ("histogram", ("endpoint",)),
    "model_inference_duration_seconds": ("histogram", ("model",)),
    "safety_violations_total": ("counter", ("model_type", "severity")),
    "feature_cache_hits_total": ("counter", ()),
    "feature_cache_misses_total": ("counter", ()),
    "config_version": ("gauge", ()),
}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def fill(metrics: Metrics) -> None:
    metrics.answered("/models/tail-slo", 200, np.full(64, 0.004))
    metrics.inferred("tail/xgboost-quantile", 0.0005)
    metrics.violated("tail", "critical", 2)
    metrics.cached(60, 4)
    metrics.lane_batch_rows.observe((64,), "tail")


@pytest.mark.parametrize("name", KEPT)
def test_a_name_that_clients_know_is_kept(metrics: Metrics, name: str) -> None:
    fill(metrics)
    kind, labels = KEPT[name]
    family_name = name.removesuffix("_total")
    (family,) = (each for each in metrics.registry.collect() if each.name == family_name)
    assert family.type == kind
    sample = next(s for s in family.samples if s.name in (name, f"{name}_count"))
    assert tuple(sample.labels) == labels


def test_a_batch_counts_every_row(metrics: Metrics) -> None:
    fill(metrics)
    metrics.answered("/models/tail-slo", 422, [0.001])
    value = metrics.registry.get_sample_value
    assert value("http_requests_total", {"endpoint": "/models/tail-slo", "status": "200"}) == 64
    assert value("http_requests_total", {"endpoint": "/models/tail-slo", "status": "422"}) == 1
    assert value("http_request_duration_seconds_count", {"endpoint": "/models/tail-slo"}) == 65
    assert value("safety_violations_total", {"model_type": "tail", "severity": "critical"}) == 2
    assert (value("feature_cache_hits_total"), value("feature_cache_misses_total")) == (60, 4)
    assert value("lane_batch_rows_sum", {"family": "tail"}) == 64


def test_every_gauge_has_a_rule_for_several_replicas(metrics: Metrics) -> None:
    gauges = {family.name for family in metrics.registry.collect() if family.type == "gauge"}
    assert gauges == set(GAUGE_RULES)
