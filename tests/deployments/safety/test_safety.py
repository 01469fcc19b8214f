import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from config_store.shipped import default_document
from config_store.store import Version
from deployments.runtime.batch import Batch, Columns, Judgement
from deployments.runtime.transport.frame import ASK, decode, encode
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from deployments.tail.answering import answer_rows
from models.tail.xgboost_quantile import TailModel
from safety.checker import Checker
from safety.fallback import Fallback
from safety.limits import LEVELS, Level
from safety.tail import tail_policy
from tests.deployments.tail_rows import tail_rows, taken


@pytest.fixture
def judge() -> Judge:
    return Judge.of(tail_policy())


def batch_of(columns: Columns) -> Batch:
    n = len(next(iter(columns.values())))
    return Batch("tail", ["auth"] * n, columns)


@pytest.fixture
def predicted(tail_model: TailModel) -> Batch:
    """Give a batch as safety gets it: what was asked, and what the model made of it."""
    columns = tail_rows(64, seed=8)
    return batch_of(columns | answer_rows(tail_model, columns))


def fallback(columns: Columns, n: int) -> dict[str, Any]:
    policy = tail_policy()
    return dict(Fallback(policy, Checker(policy)).answer(columns, n))


def bits(judgement: Judgement, row: int) -> dict[str, bytes]:
    return {name: column[row].tobytes() for name, column in judgement.columns.items()}


def level(judgement: Judgement, row: int) -> Level:
    return LEVELS[int(judgement.levels[row])]


def test_answers_that_break_nothing_leave_as_they_are(judge: Judge, predicted: Batch) -> None:
    found = judge.judge(predicted)
    assert tuple(found.columns) == tail_policy().outputs
    kept = [row for row in range(64) if row not in found.violations]
    assert len(kept) > 10
    for row in kept:
        assert (level(found, row), found.fallback[row]) == (Level.SAFE, 0.0)
        for name, column in found.columns.items():
            assert column[row] == predicted.columns[name][row]
    assert found.policy == tail_policy().content_hash()


def test_an_unsafe_row_falls_back_and_the_others_keep_their_bits(
    judge: Judge, predicted: Batch
) -> None:
    before = judge.judge(predicted)
    row = next(row for row in range(64) if row not in before.violations)
    predicted.columns["p99_pred"] = predicted.columns["p99_pred"].copy()
    predicted.columns["p99_pred"][row] = 1e9  # longer than any latency
    found = judge.judge(predicted)
    expected = fallback(taken(predicted.columns, [row]), 1)
    assert (level(found, row), found.fallback[row]) == (Level.UNSAFE, 1.0)
    assert {name: column[row] for name, column in found.columns.items()} == {
        name: column[0] for name, column in expected.items()
    }
    assert any(violation["field"] == "p99_pred" for violation in found.violations[row])
    for other in set(range(64)) - {row}:
        assert bits(found, other) == bits(before, other)


def test_a_row_without_numbers_never_leaves(judge: Judge, predicted: Batch) -> None:
    for name in tail_policy().outputs:
        predicted.columns[name] = np.where(np.arange(64) == 5, np.nan, predicted.columns[name])
    found = judge.judge(predicted)
    assert level(found, 5) is Level.CRITICAL
    assert found.fallback[5] == 1.0
    assert all(np.isfinite(column).all() for column in found.columns.values())


@pytest.mark.parametrize("missing", ["all of it", "admit_fraction"])
def test_without_a_model_every_row_is_the_fallbacks_and_says_so(
    judge: Judge, predicted: Batch, missing: str
) -> None:
    outputs = set(tail_policy().outputs)
    gone = outputs if missing == "all of it" else {missing}
    columns = {name: column for name, column in predicted.columns.items() if name not in gone}
    found = judge.judge(batch_of(columns))
    np.testing.assert_equal(found.columns, fallback(columns, 64))
    assert found.levels.tolist() == [Level.WARNING.code] * 64
    assert found.fallback.tolist() == [1.0] * 64
    assert {found.violations[row][0]["rule"] for row in range(64)} == {"model_away"}
    assert found.policy == tail_policy().content_hash()


def test_a_row_is_judged_alike_alone_and_among_others(judge: Judge, predicted: Batch) -> None:
    predicted.columns["breach_probability"] = predicted.columns["breach_probability"].copy()
    predicted.columns["breach_probability"][[3, 9]] = 1.5, math.inf
    together = judge.judge(predicted)
    assert len(together.violations) >= 2
    for row in range(64):
        alone = judge.judge(batch_of(taken(predicted.columns, [row])))
        assert bits(alone, 0) == bits(together, row)
        assert alone.violations.get(0) == together.violations.get(row)
        assert (alone.levels[0], alone.fallback[0]) == (
            together.levels[row],
            together.fallback[row],
        )


def test_a_judgement_travels_whole(judge: Judge, predicted: Batch) -> None:
    predicted.columns["upper"] = np.where(np.arange(64) == 1, -1.0, predicted.columns["upper"])
    found = judge.judge(predicted)
    again = Judgement.from_frame(decode(encode(found.to_frame(), 1, ASK)[4:])[2])
    assert again.violations == found.violations
    assert again.violations[1][0]["level"] == "unsafe"
    np.testing.assert_equal(again.columns, found.columns)


async def test_the_deployment_goes_by_the_policy_of_the_version_it_is_given(
    predicted: Batch, safety: Safety
) -> None:
    document = default_document()
    made = datetime(2026, 3, 2, tzinfo=UTC)
    caps = document.safety.families["tail"].caps.model_copy(update={"max_workers_step": 1.0})
    tail = document.safety.families["tail"].model_copy(update={"caps": caps})
    policy = document.safety.model_copy(update={"families": {"tail": tail}})
    stricter = document.model_copy(update={"safety": policy})
    before, after = (
        safety.compile(Version(number, each.config_hash, "ada", "a change", made, each))
        for number, each in ((4, document), (5, stricter))
    )
    workers = predicted.columns["active_workers"]
    row = int(np.argmax(predicted.columns["admit_fraction"]))
    predicted.columns["autoscale_workers"] = workers + 2.0
    for compiled, most, named in ((before, 2.0, document), (after, 1.0, stricter)) * 2:
        found = Judgement.from_frame(await safety.answer(predicted.to_frame(), compiled))
        assert found.columns["autoscale_workers"][row] == workers[row] + most
        assert found.policy == named.safety.families["tail"].content_hash()
    assert document.safety.families["tail"].content_hash() != tail.content_hash()
