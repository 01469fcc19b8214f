import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest

from access.keys import Principal, Role
from config_store.shipped import default_document
from config_store.store import Version
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.shipped import FAMILIES
from deployments.api.tail import FEATURES, TAIL, TailBody
from deployments.gateway.documentation.openapi import Meta
from deployments.gateway.pipeline.answers import (
    Circumstances,
    LaneRow,
    StageResults,
    isoformat,
    write_down,
)
from deployments.runtime.batch import Batch, Judgement, Prediction
from features.fill import Filled
from observability.ledger.lookup import AUDIT_FIELDS
from safety.limits import Level
from safety.rungs import Rung
from safety.shipped import default_policy

WHO = Principal("k1", Role.CLIENT)
MADE = datetime(2026, 3, 2, tzinfo=UTC)
VERSION = Version(14, "abc", "ada", "a start", MADE, default_document())
ASKS = [
    LaneRow(TailBody(entity="auth", load=0.5, slo_ms=20), WHO, 100.0, 101.0, "req-0", VERSION),
    LaneRow(TailBody(infra=0.25), WHO, 100.5, 101.5, "req-1", VERSION),
]
IDS = ["id-0", "id-1"]
SHARED = Circumstances(
    VERSION, degraded=False, features_lost=False, now=1_772_461_800.25, monotonic=100.75
)


def results() -> StageResults:
    features = {name: np.array([0.5, 0.25]) for name in FEATURES}
    answers = {
        name: np.array([1.0 + at, 2.0 + at])
        for at, name in enumerate(("p50_pred", "p95_pred", "p99_pred", "p999_pred"))
    } | {
        "breach_probability": np.array([0.25, 1.0]),
        "action": np.array([3.0, 0.0]),
        "autoscale_workers": np.array([12.0, 3.0]),
        "admit_fraction": np.array([0.5, 1.0]),
        "lower": np.array([0.5, 0.75]),
        "upper": np.array([9.0, 9.5]),
    }
    return StageResults(
        Batch("tail", ["auth", "default"], features, version=14),
        Filled(features, {0: ("infra",)}, {}, np.array([1_772_461_740.0, math.nan])),
        Prediction(answers, "tail/xgboost-quantile", "1.2.0", digest="d1", version=14),
        Judgement(answers, np.zeros(2), np.zeros(2), {}, "p1", 14),
    )


def written(found: StageResults, shared: Circumstances = SHARED) -> list[tuple[Any, Any]]:
    """Give each row's answer and what the ledger keeps of it."""
    answered, decisions = write_down(TAIL, ASKS, IDS, found, shared)
    assert [each.decision_id for each in answered] == IDS
    assert [each.decision_id for each in decisions] == IDS
    return [
        (orjson.loads(answer.envelope), orjson.loads(decision.row))
        for answer, decision in zip(answered, decisions, strict=True)
    ]


def test_an_answer_is_the_whole_envelope() -> None:
    (first, _), _ = written(results())
    assert first == {
        "data": {
            "p50_pred": 1.0,
            "p95_pred": 2.0,
            "p99_pred": 3.0,
            "p999_pred": 4.0,
            "breach_probability": 0.25,
            "action": "page",
            "autoscale_workers": 12,
            "admit_fraction": 0.5,
        },
        "interval": {"lower": 0.5, "upper": 9.0, "level": 0.9, "method": "cqr"},
        "safety": {
            "level": "safe",
            "violations": [],
            "fallback": False,
            "override": None,
            "unjudged": [],
        },
        "meta": {
            "decision_id": "id-0",
            "model": "tail/xgboost-quantile",
            "model_version": "1.2.0",
            "config_version": 14,
            "rung": "model",
            "features": {
                "stale": ["infra"],
                "assumed": [],
                "missing": [],
                "event_time": "2026-03-02T14:29:00.000Z",
            },
            "degraded": False,
            "latency_ms": 750.0,
            "deadline_left_ms": 250.0,
        },
    }


def test_the_ledger_keeps_the_very_bytes_that_the_client_gets() -> None:
    answered, decisions = write_down(TAIL, ASKS, IDS, results(), SHARED)
    for answer, decision in zip(answered, decisions, strict=True):
        assert decision.row.count(b'"answer":' + answer.envelope) == 1


def test_the_ledgers_row_has_what_an_audit_asks_for_and_a_replay_needs() -> None:
    (_, first), (_, second) = written(results())
    assert set(AUDIT_FIELDS) | {"symbol"} <= set(first)
    assert first["request"] == {"entity": "auth", "load": 0.5, "slo_ms": 20.0}
    assert second["request"] == {"infra": 0.25}
    assert first["features"] == dict.fromkeys(FEATURES, 0.5)
    assert (first["timestamp"], first["key_id"]) == ("2026-03-02T14:30:00.250Z", "k1")
    assert (first["config_version"], first["config_hash"]) == (14, "abc")
    assert (first["endpoint"], first["family"], first["entity"]) == (TAIL.path, "tail", "auth")
    assert (second["entity"], second["allowed"], second["decision_reasons"]) == (
        "default",
        True,
        [],
    )


def test_the_ledgers_row_names_what_each_stage_used() -> None:
    (_, row), _ = written(results())
    assert row["stages"] == {
        "features": {"version": 14},
        "model": {
            "version": 14,
            "model": "tail/xgboost-quantile",
            "model_version": "1.2.0",
            "digest": "d1",
        },
        "safety": {"version": 14, "policy": "p1"},
    }


def test_a_stage_that_was_lost_is_named_as_none() -> None:
    found = results()
    found = replace(found, prediction=Prediction({}, "tail/fallback", "none"))
    (_, row), _ = written(found, replace(SHARED, features_lost=True))
    assert row["stages"] == {
        "features": None,
        "model": None,
        "safety": {"version": 14, "policy": "p1"},
    }


def test_each_row_has_the_latency_of_its_own_request() -> None:
    assert [answer["meta"]["latency_ms"] for answer, _ in written(results())] == [750.0, 250.0]


def test_only_the_row_that_was_replaced_or_assumed_is_degraded() -> None:
    found = results()
    found = replace(
        found,
        filled=replace(found.filled, assumed={1: ("load", "infra")}),
        judgement=replace(found.judgement, rungs=np.array([0.0, 0.0])),
    )
    assert [answer["meta"]["degraded"] for answer, _ in written(found)] == [False, True]
    found.judgement.rungs[0] = Rung.BASELINE.code
    (first, _), (second, _) = written(found)
    assert (first["meta"]["degraded"], first["safety"]["fallback"]) == (True, True)
    assert first["interval"]["method"] == "fallback"
    assert second["interval"]["method"] == "cqr"
    assert (first["meta"]["rung"], second["meta"]["rung"]) == ("baseline", "model")
    assert second["meta"]["features"]["assumed"] == ["load", "infra"]


def test_an_answer_of_a_model_of_the_demo_says_so_and_a_fallback_has_no_model() -> None:
    found = results()
    found = replace(found, prediction=replace(found.prediction, of_demo=True))
    found.judgement.rungs[1] = Rung.BASELINE.code
    (first, ledger), (second, _) = written(found)
    assert first["meta"]["trained_on"] == "demo"
    assert "not from your services" in first["meta"]["trained_on_reason"]
    assert ledger["answer"]["meta"]["trained_on"] == "demo"
    assert "trained_on" not in second["meta"]
    assert not first["meta"].keys() - {*Meta.model_fields}


def test_an_override_is_named_and_a_detail_does_not_undo_it() -> None:
    found = results()
    found.prediction.details = [{"data": {"breach_probability": None}}] * 2
    found.judgement.overrides = {0: {"breach_probability": "o1", "action": "o2"}}
    (first, _), (second, ledger) = written(found)
    assert (first["safety"]["override"], second["safety"]["override"]) == ("o1, o2", None)
    assert first["data"]["breach_probability"] == 0.25
    assert second["data"]["breach_probability"] is None
    assert ledger["answer"] == second


def test_an_emergency_and_checks_that_are_off_mark_every_row() -> None:
    found = results()
    found.judgement.emergency, found.judgement.unchecked = "a rule said so", True
    for answer, row in written(found):
        assert answer["meta"]["fallback_reason"] == "a rule said so"
        assert answer["safety"]["checks"] == "off"
        assert row["decision_reasons"] == ["emergency_mode"]


def test_what_befalls_the_platform_marks_every_row() -> None:
    rows = written(results(), replace(SHARED, degraded=True))
    assert [answer["meta"]["degraded"] for answer, _ in rows] == [True, True]


@pytest.mark.parametrize(
    ("level", "allowed"),
    [(Level.SAFE, True), (Level.WARNING, True), (Level.UNSAFE, False), (Level.CRITICAL, False)],
)
def test_the_reasons_are_those_of_safety(level: Level, allowed: bool) -> None:
    found = results()
    found.judgement.levels[1] = level.code
    violation = {"rule": "p99_pred range", "field": "p99_pred", "level": level, "value": None}
    found.judgement.violations[1] = [violation, violation | {"rule": "p99 <= p99.9"}]
    (_, first), (answer, second) = written(found)
    assert (first["allowed"], first["decision_reasons"]) == (True, [])
    assert second["allowed"] is allowed
    assert second["decision_reasons"] == ["p99_pred range", "p99 <= p99.9"]
    assert (answer["safety"]["level"], len(answer["safety"]["violations"])) == (level, 2)


def test_nothing_known_has_no_time() -> None:
    assert isoformat(math.nan) is None
    assert isoformat(0.0) == "1970-01-01T00:00:00.000Z"
    (first, _), (second, _) = written(results())
    assert first["meta"]["features"]["event_time"] is not None
    assert second["meta"]["features"]["event_time"] is None


def test_where_nothing_is_claimed_there_is_no_interval_but_a_reason() -> None:
    found = results()
    found.judgement.columns["lower"][:] = (-1e300, 0.25)
    found.judgement.columns["upper"][:] = (1e300, 1e300)
    (first, _), (second, _) = written(found)
    assert first["interval"] is None
    assert first["meta"]["interval_reason"] == TAIL.no_interval
    assert (second["interval"]["lower"], second["interval"]["upper"]) == (0.25, None)
    assert "interval_reason" not in second["meta"]
    found.judgement.rungs[0] = Rung.BASELINE.code
    ((first, _), _) = written(found)
    assert "fallback" in first["meta"]["interval_reason"]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_what_is_not_judged_is_a_part_of_the_answer(family: InferenceEndpoint) -> None:
    policy = default_policy().family(family.name)
    assert set(family.unjudged) <= set(family.data.model_fields) - set(policy.outputs)
    if family.nested is not None:
        assert set(family.nested.lists) <= set(policy.outputs)
