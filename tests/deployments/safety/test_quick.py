"""A batch that breaks nothing is passed on quickly, and to the bit as if it were looked through."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_store.steering.state import Override
from deployments.runtime.batch import Batch, Judgement
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from safety.last_safe import LastSafe
from safety.policy import FamilyPolicy
from safety.rungs import Rungs
from tests.deployments.safety.conftest import NOW, LittleReplica, override, state
from tests.deployments.safety.test_steered import ON, batch, prepared
from tests.safety.policies import CALM_ROWS, POLICY, ROWS, SMALL_POLICY
from tests.safety.test_language import Rows, columns_of
from tests.safety.thorough import Thorough

ENTITIES = ("auth", "ledger", "web")
NAMED = st.lists(st.sampled_from(ENTITIES), min_size=5, max_size=5)
CALM = st.lists(st.tuples(CALM_ROWS, NAMED, st.integers(0, 1)), min_size=1, max_size=4)
WILD = st.lists(st.tuples(ROWS, NAMED, st.integers(0, 1)), min_size=1, max_size=4)
Batches = list[tuple[Rows, list[str], int]]


def thorough(judge: Judge) -> Judge:
    return replace(judge, checker=Thorough(judge.policy))


def bits(judged: Judgement) -> dict[str, Any]:
    """Give all that a judgement says, its numbers as their very bytes."""
    columns = {**judged.columns, "_level": judged.levels, "_rung": judged.rungs}
    said = judged.to_frame().head
    return {name: (each.dtype, each.tobytes()) for name, each in columns.items()} | {"": said}


def judged_alike(policy: FamilyPolicy, batches: Batches) -> None:
    """Judge batch after batch in both ways, each of which remembers what was safe."""
    remembering = policy.model_copy(update={"rungs": Rungs(last_safe_seconds=60, same=("a",))})
    judge = Judge.of(remembering)
    quick, slow = LastSafe(judge.remembered, most=8), LastSafe(judge.remembered, most=8)
    for at, (rows, entities, items) in enumerate(batches):
        columns: dict[str, Any] = columns_of(rows)
        asked = [
            Batch("tail", entities[: len(rows)], dict(columns), items=min(items, len(rows)))
            for _ in range(2)
        ]
        now = NOW + 20 * at
        found = judge.judge(asked[0], quick, now)
        expected = thorough(judge).judge(asked[1], slow, now)
        assert bits(found) == bits(expected)
        assert bits(judge.judge(asked[0])) == bits(thorough(judge).judge(asked[1]))
        kept, other = quick.find(ENTITIES), slow.find(ENTITIES)
        np.testing.assert_array_equal(kept[1], other[1])
        for name, column in kept[0].items():
            np.testing.assert_array_equal(column, other[0][name])


@given(SMALL_POLICY, CALM)
def test_calm_batches_are_judged_alike(policy: FamilyPolicy, batches: Batches) -> None:
    judged_alike(policy, batches)


@given(POLICY, WILD)
def test_so_are_any_others(policy: FamilyPolicy, batches: Batches) -> None:
    judged_alike(policy, batches)


@pytest.mark.parametrize("overrides", [(), (override(),), (override(entity="auth", expires=NOW),)])
@pytest.mark.parametrize("in_emergency", [False, True])
@pytest.mark.parametrize("p99_pred", [130.0, 1.0, np.nan])
def test_what_people_put_over_the_policy_is_put_over_both(
    safety: Safety,
    replica: LittleReplica,
    overrides: tuple[Override, ...],
    in_emergency: bool,
    p99_pred: float,
) -> None:
    judge = prepared(safety)
    replica.steering.value = state(2, ON if in_emergency else None, overrides)
    found = [safety.judge(batch(3, p99_pred=p99_pred), each) for each in (judge, thorough(judge))]
    assert bits(found[0]) == bits(found[1])
