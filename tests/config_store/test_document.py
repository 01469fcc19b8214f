import json
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from config_store.document import ConfigDocument
from config_store.shipped import FEATURE_DEFAULTS, default_document
from safety.checker import Checker

NAMES = st.text(min_size=1, max_size=20)
LANES = st.fixed_dictionaries(
    {
        "max_batch_rows": st.integers(1, 4096),
        "batches_in_flight": st.integers(1, 64),
        "max_waiting_rows": st.integers(4096, 1_000_000),
    }
)
FEATURES = st.fixed_dictionaries(
    {
        "refresh_seconds": st.floats(0.01, 60),
        "stale_after_seconds": st.floats(60, 1e9),
        "defaults": st.dictionaries(NAMES, st.floats(allow_nan=False, allow_infinity=False)),
    }
)


def plain() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(default_document().canonical())
    return fields


def shuffled(value: Any) -> Any:
    """Say the same JSON with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(lane=LANES, features=FEATURES, model=NAMES)
def test_a_document_survives_json_and_keeps_its_hash(
    lane: dict[str, int], features: dict[str, Any], model: str
) -> None:
    fields = plain()
    fields["serving"]["tail"] |= {"lane": lane, "model": model}
    fields["features"] = features
    document = ConfigDocument.model_validate(fields)
    again = ConfigDocument.model_validate_json(document.canonical())
    assert again == document
    assert again.config_hash == document.config_hash
    assert again.serving.tail.lane.max_batch_rows == lane["max_batch_rows"]
    assert again.features.defaults == features["defaults"]


def test_the_order_of_keys_does_not_change_the_hash() -> None:
    document = ConfigDocument.model_validate(shuffled(plain()))
    assert document.config_hash == default_document().config_hash


def test_whole_numbers_hash_as_the_floats_they_are() -> None:
    fields = plain()
    fields["serving"]["tail"]["slo_ms"] = 250
    assert ConfigDocument.model_validate(fields).config_hash == default_document().config_hash


def test_the_hash_is_sha256_of_sorted_json_without_spaces() -> None:
    # The standard library as the second implementation; it writes 1e+16 where orjson writes 1e16,
    # but the default document has no such number.
    text = json.dumps(plain(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert default_document().config_hash == sha256(text.encode()).hexdigest()


@given(seconds=st.floats(5, 1e6).filter(lambda seconds: seconds != 180.0))
def test_another_value_is_another_hash(seconds: float) -> None:
    fields = plain()
    fields["features"]["stale_after_seconds"] = seconds
    assert ConfigDocument.model_validate(fields).config_hash != default_document().config_hash


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("serving", "tail", "lane", "max_waiting_rows"), 10, "less than one batch"),
        (("serving", "tail", "lane", "max_batch_rows"), 0, "greater than or equal to 1"),
        (("serving", "tail", "slo_ms"), 0, "greater than 0"),
        (("serving", "tail", "slo_ms"), float("nan"), "finite"),
        (("serving", "tail", "deadlines", "model_ms"), 5000, "more than the request"),
        (("serving", "tail", "replicas"), 3, "Extra inputs"),
        (("serving", "market"), {}, "without a safety policy"),
        (("serving", "regime", "model"), "anomaly/bocpd", "serving.regime.model\n.*Extra inputs"),
        (("serving", "capacity", "slo_ms"), 9, "serving.capacity.slo_ms\n.*Extra inputs"),
        (("features", "stale_after_seconds"), 1, "always be stale"),
        (("features", "defaults", "load"), float("inf"), "finite"),
        (("safety", "families", "tail", "caps", "max_canary_percentage"), 11, "less than or equal"),
        (("secret",), 1, "Extra inputs"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused(
    path: tuple[str, ...], value: object, said: str
) -> None:
    fields = plain()
    at = fields
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(ValidationError, match=said):
        ConfigDocument.model_validate(fields)


def test_a_document_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        default_document().features.refresh_seconds = 1.0  # type: ignore[misc] # the point


def test_an_entity_without_history_does_not_trip_the_policy() -> None:
    policy = default_document().safety.family("tail")
    columns = {name: np.array([value]) for name, value in FEATURE_DEFAULTS.items()}
    verdicts = Checker(policy).check(columns | {"slo_ms": np.array([250.0])}, 1)
    tripped = {violation.field for violation in verdicts.violations[0]}
    assert tripped.isdisjoint(policy.inputs)
    assert set(FEATURE_DEFAULTS) | {"slo_ms"} >= set(policy.inputs)
