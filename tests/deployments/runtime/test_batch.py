from dataclasses import fields
from typing import Any, get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deployments.api.errors import REFUSALS
from deployments.runtime.batch import (
    Batch,
    Judgement,
    Prediction,
    RefusalCode,
    filled_from_frame,
    filled_to_frame,
)
from deployments.runtime.transport.frame import ASK, Frame, decode, encode
from features.fill import Filled
from safety.limits import LEVELS, Level

N = 5
COLUMNS = st.dictionaries(
    st.sampled_from(("load", "infra", "p99_pred", "slo_ms")),
    arrays(np.float64, N, elements=st.floats(allow_nan=True)),
)
NAMES = st.dictionaries(
    st.integers(0, N - 1), st.lists(st.sampled_from(("load", "infra")), min_size=1).map(tuple)
)


def travelled(frame: Frame) -> Frame:
    return decode(encode(frame, 1, ASK)[4:])[2]


def assert_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert {name: column.tobytes() for name, column in one.items()} == {
        name: column.tobytes() for name, column in other.items()
    }


@given(COLUMNS, st.lists(st.text(min_size=1), min_size=N, max_size=N))
def test_a_batch_arrives_as_it_left(columns: dict[str, Any], entities: list[str]) -> None:
    again = Batch.from_frame(travelled(Batch("tail", entities, columns).to_frame()))
    assert (again.family, again.entities, len(again)) == ("tail", entities, N)
    assert_same(again.columns, columns)


def test_rows_that_are_taken_keep_what_is_said_of_the_whole_batch() -> None:
    lists = {"keys": list("KLMN"), "ids": list("wxyz"), "requests": list("rstu")}
    owners = [("k1", 3), None, ("k2", 5), None]
    sent = Batch("capacity", list("abcd"), {"x": np.arange(4.0)}, asks=[{"n": n} for n in range(4)])
    for name, values in lists.items():
        setattr(sent, name, values)
    sent.owners, sent.budget_s, sent.version, sent.config_hash = owners, 0.5, 7, "9f3c"
    sent.items, sent.emergency, sent.is_shadow = 2, True, True
    left = sent.take([0, 2])
    assert (left.entities, left.columns["x"].tolist()) == (["a", "c"], [0.0, 2.0])
    assert (left.asks, left.owners) == ([{"n": 0}, {"n": 2}], [("k1", 3), ("k2", 5)])
    for name, values in lists.items():
        assert getattr(left, name) == [values[0], values[2]]
    assert left.items == 1  # of the last two rows one is left
    by_row = {"entities", "columns", "asks", "owners", "items", *lists}
    for each in fields(Batch):  # those that are yet to come too
        if each.name not in by_row:
            assert getattr(left, each.name) == getattr(sent, each.name), each.name


@given(COLUMNS)
def test_a_prediction_arrives_as_it_left(columns: dict[str, Any]) -> None:
    sent = Prediction(columns, "tail/xgboost-quantile", "1.2.0")
    again = Prediction.from_frame(travelled(sent.to_frame()))
    assert (again.model, again.model_version) == (sent.model, sent.model_version)
    assert_same(again.columns, columns)


def test_a_model_that_could_not_answer_says_so_without_columns() -> None:
    frame = travelled(Prediction({}, "tail/fallback", "none").to_frame())
    assert Prediction.from_frame(frame) == Prediction({}, "tail/fallback", "none")


@given(
    COLUMNS,
    st.lists(st.sampled_from(LEVELS), min_size=N, max_size=N),
    st.lists(st.booleans(), min_size=N, max_size=N),
    st.dictionaries(st.integers(0, N - 1), st.sampled_from((1.0, -2.5, None))),
)
def test_a_judgement_arrives_as_it_left(
    columns: dict[str, Any],
    levels: list[Level],
    fallback: list[bool],
    broken: dict[int, float | None],
) -> None:
    violations: dict[int, list[dict[str, Any]]] = {
        row: [{"rule": "load", "value": value, "level": Level.UNSAFE}]
        for row, value in broken.items()
    }
    sent = Judgement(
        columns,
        np.array([level.code for level in levels], np.float64),
        np.array(fallback, np.float64),
        violations,
        "9f3c",
    )
    again = Judgement.from_frame(travelled(sent.to_frame()))
    assert_same(again.columns, columns)
    assert [LEVELS[int(code)] for code in again.levels] == levels
    assert again.fallback.tolist() == fallback
    assert (again.violations, again.policy) == (violations, "9f3c")
    assert (again.overrides, again.unchecked, again.emergency) == ({}, False, "")


def test_what_people_put_over_a_judgement_arrives_too() -> None:
    sent = Judgement({}, np.zeros(1), np.ones(1), policy="9f3c", version=3)
    sent.overrides, sent.unchecked, sent.emergency = {0: {"action": "o1"}}, True, "by ada"
    again = Judgement.from_frame(travelled(sent.to_frame()))
    assert again.overrides == {0: {"action": "o1"}}
    assert (again.unchecked, again.emergency) == (True, "by ada")


def test_what_a_policy_refuses_travels_and_what_is_left_keeps_its_place() -> None:
    sent = Judgement(
        {"x": np.array([1.0, 2.0, 3.0])},
        np.array([0.0, 2.0, 3.0]),
        np.array([0.0, 1.0, 1.0]),
        {1: [{"rule": "r"}], 2: [{"rule": "s"}]},
        "9f3c",
        refusals={1: {"code": "policy", "message": "no"}},
        alarms={1: "r", 2: "s"},
    )
    again = Judgement.from_frame(travelled(sent.to_frame()))
    assert (again.refusals, again.alarms) == (sent.refusals, sent.alarms)
    left = again.take([0, 2])
    assert left.columns["x"].tolist() == [1.0, 3.0]
    assert (left.levels.tolist(), left.fallback.tolist()) == ([0.0, 3.0], [0.0, 1.0])
    assert (left.violations, left.alarms) == ({1: [{"rule": "s"}]}, {1: "s"})
    assert (left.refusals, left.policy) == ({}, "9f3c")


def test_a_judgement_without_refusals_is_the_frame_that_it_was_before_there_were_any() -> None:
    sent = Judgement({"x": np.ones(1)}, np.zeros(1), np.zeros(1), {}, "9f3c")
    frame = sent.to_frame()
    assert frame.head == {"violations": {}, "policy": "9f3c"}
    assert set(frame.columns) == {"x", "_level", "_fallback"}


@given(COLUMNS, NAMES, NAMES, arrays(np.float64, N, elements=st.floats(allow_nan=True)))
def test_filled_features_arrive_as_they_left(
    columns: dict[str, Any],
    stale: dict[int, tuple[str, ...]],
    assumed: dict[int, tuple[str, ...]],
    event_time: Any,
) -> None:
    sent = Filled(columns, stale, assumed, event_time)
    again = filled_from_frame(travelled(filled_to_frame(sent)))
    assert_same(again.columns, columns)
    assert (again.stale, again.assumed) == (stale, assumed)
    assert again.event_time.tobytes() == event_time.tobytes()


def test_a_family_may_refuse_with_exactly_the_codes_that_the_gateway_can_raise() -> None:
    assert set(get_args(RefusalCode)) == REFUSALS.keys()
