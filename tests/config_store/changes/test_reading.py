from typing import Any

import pytest

from config_store.changes.merge_patch import merged
from config_store.changes.older_names import unserved_older_names
from config_store.changes.reading import BadDocumentError, read_document
from config_store.shipped import default_document

PROMETHEUS = {
    "kind": "prometheus",
    "url": "http://here:9090",
    "mapping": {"entity_label": "service", "metrics": {}},
}
# A patch of the shipped document, the place that is at fault, and a word of what is wrong.
REGIME = "serving.regime.lane.max_batch_rows"
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"serving": {"tail": {"slo_ms": -1}}}, "serving.tail.slo_ms", "greater than 0"),
    ({"serving": {"tail": {"slo": 1}}}, "serving.tail.slo", "not permitted"),
    ({"serving": {"tail": None}}, "serving.tail", "required"),
    ({"serving": {"regime": {"lane": {"max_batch_rows": "x"}}}}, REGIME, "integer"),
    ({"quotas": {"default": {"streams": 1.5}}}, "quotas.default.streams", "integer"),
    ({"features": {"refresh_seconds": 900}}, "features", "stale_after_seconds"),
    ({"sources": {"named": {"BAD": {"kind": "push"}}}}, "sources.named.BAD", "pattern"),
    ({"sources": {"named": {"a": {"kind": "pull"}}}}, "sources.named.a", "push"),
    (
        {"sources": {"named": {"a": {"kind": "prometheus", "url": "http://x"}}}},
        "sources.named.a.mapping",
        "required",
    ),
    (
        {"sources": {"named": {"a": PROMETHEUS | {"cadence_seconds": 7}}}},
        "sources.named.a.cadence_seconds",
        "15",
    ),
    (
        {"sources": {"entities": {"a.b": {"target_ms": 0}}}},
        'sources.entities["a.b"].target_ms',
        "greater than 0",
    ),
    (
        {"sources": {"entities": {"x": {"time_zone": "Mars"}}}},
        "sources.entities.x.time_zone",
        "Europe/London",
    ),
    ({"features": {"definitions": {"bad": {"expression": "load +"}}}}, "features", "bad"),
    ({"market": {}}, "market", "not permitted"),
]


def shipped() -> Any:
    return default_document().model_dump(mode="json")


@pytest.mark.parametrize(("patch", "path", "word"), FAULTS)
def test_a_fault_is_named_by_its_place(patch: dict[str, Any], path: str, word: str) -> None:
    with pytest.raises(BadDocumentError) as refused:
        read_document(merged(shipped(), patch))
    assert path in refused.value.faults, refused.value.faults
    assert word in refused.value.faults[path]
    assert path in str(refused.value)


def test_all_faults_are_named_at_once() -> None:
    patch = {"serving": {"tail": {"slo_ms": -1}}, "quotas": {"default": {"streams": -1}}}
    with pytest.raises(BadDocumentError) as refused:
        read_document(merged(shipped(), patch))
    assert refused.value.faults.keys() == {"serving.tail.slo_ms", "quotas.default.streams"}


@pytest.mark.parametrize("value", [None, 3, "text", [], {}])
def test_what_is_no_document_is_refused_in_words(value: Any) -> None:
    with pytest.raises(BadDocumentError):
        read_document(value)


def test_a_good_document_is_read() -> None:
    assert read_document(shipped()) == default_document()


@pytest.mark.parametrize(
    ("patch", "paths"),
    [
        (
            {
                "signal_filter": {"use_ml_model": True},
                "model": {"signal_filter_version": "v1.0.0"},
            },
            {"signal_filter.use_ml_model", "model.signal_filter_version"},
        ),
        ({"model": 3}, {"model"}),
        ({"serving": {"tail": {"model": "x"}}}, set()),
        ([], set()),
    ],
)
def test_older_clients_names_are_known_and_nothing_else(patch: Any, paths: set[str]) -> None:
    found = unserved_older_names(patch)
    assert found.keys() == paths
    assert all("market" in why and "GET /config" in why for why in found.values())
