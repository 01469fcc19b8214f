"""What people and rules put over the policy, in the safety stage itself."""

from typing import Any

import numpy as np
import pytest

from config_store.steering.state import Emergency, Override
from deployments.runtime.batch import Batch, Columns, Judgement
from deployments.safety.deployment import Safety
from deployments.safety.judge import Judge
from safety.emergency import CriticalRule, DriftRule, EmergencyRules, ErrorRule
from safety.limits import ChangeLimit, Level, Range, Repair
from safety.policy import FamilyPolicy
from safety.rungs import RUNGS, Rung
from safety.tail import tail_policy
from settings.environment import Settings
from tests.deployments.safety.conftest import NOW, LittleReplica, override, state
from tests.safety.conftest import HEALTHY

SPOILED: dict[str, Any] = {"p99_pred": np.nan}
ON = Emergency(since=NOW, by="ada", reason="a drill")


def batch(n: int = 1, entity: str = "auth", **spoiled: float) -> Batch:
    columns: Columns = {name: np.full(n, value) for name, value in (HEALTHY | spoiled).items()}
    return Batch("tail", [entity] * n, columns, version=1)  # the active one


def prepared(safety: Safety, policy: FamilyPolicy | None = None) -> Judge:
    """Make the stage remember what this policy needs."""
    judge = Judge.of(policy or tail_policy())
    safety._memories.prepare([("tail", judge)])
    return judge


def rungs(judged: Judgement) -> list[Rung]:
    return [RUNGS[int(code)] for code in judged.rungs]


def test_a_safe_answer_stands_in_for_one_that_may_not_leave(
    safety: Safety, replica: LittleReplica
) -> None:
    judge = prepared(safety)
    assert rungs(safety.judge(batch(p99_pred=131.0), judge)) == [Rung.MODEL]
    replica.clocks.now += 59
    found = safety.judge(batch(p99_pred=np.nan), judge)
    assert (rungs(found), found.columns["p99_pred"][0]) == ([Rung.LAST_SAFE], 131.0)
    assert found.levels[0] == Level.CRITICAL.code
    # What stood in is no safe answer of its own, and makes the older one no younger.
    replica.clocks.now += 2
    assert rungs(safety.judge(batch(p99_pred=np.nan), judge)) == [Rung.BASELINE]
    assert rungs(safety.judge(batch(entity="other", p99_pred=np.nan), judge)) == [Rung.BASELINE]


def test_a_model_that_is_away_is_answered_for_by_the_last_safe_answer(safety: Safety) -> None:
    judge = prepared(safety)
    safety.judge(batch(p99_pred=131.0), judge)
    asked = batch()
    for name in judge.outputs:
        del asked.columns[name]
    found = safety.judge(asked, judge)
    assert (rungs(found), found.columns["p99_pred"][0]) == ([Rung.LAST_SAFE], 131.0)
    assert found.violations[0][0]["rule"] == "model_away"


def test_an_item_of_a_list_is_no_answer_about_its_entity(safety: Safety) -> None:
    judge = prepared(safety)
    asked = batch(3)
    asked.columns["p99_pred"] = np.array([131.0, 140.0, np.nan])
    asked.items = 2
    found = safety.judge(asked, judge)
    assert rungs(found) == [Rung.MODEL, Rung.MODEL, Rung.BASELINE]
    assert safety.judge(batch(p99_pred=np.nan), judge).columns["p99_pred"][0] == 131.0


def test_a_limit_may_read_the_last_safe_answer(safety: Safety, replica: LittleReplica) -> None:
    changed = tail_policy().model_copy(
        update={
            "changes": (
                ChangeLimit(
                    field="p99_pred",
                    rise=10.0,
                    level=Level.UNSAFE,
                    repair=Repair.FALLBACK,
                    message="It rose too fast.",
                ),
            )
        }
    )
    judge = prepared(safety, changed)
    assert judge.reads_last
    assert rungs(safety.judge(batch(p99_pred=130.0), judge)) == [Rung.MODEL]
    assert rungs(safety.judge(batch(p99_pred=139.0), judge)) == [Rung.MODEL]
    replica.clocks.now += 1
    found = safety.judge(batch(p99_pred=150.0), judge)
    assert (rungs(found), found.columns["p99_pred"][0]) == ([Rung.LAST_SAFE], 139.0)


def test_in_an_emergency_nothing_that_a_model_ever_said_leaves(
    safety: Safety, replica: LittleReplica
) -> None:
    judge = prepared(safety)
    safety.judge(batch(p99_pred=131.0), judge)
    replica.steering.value = state(2, emergency=ON)
    found = safety.judge(batch(2, p99_pred=132.0), judge)
    assert rungs(found) == [Rung.BASELINE] * 2
    assert "a drill" in found.emergency
    assert found.levels.tolist() == [Level.WARNING.code] * 2
    replica.steering.value = state(3, released=NOW + 1)
    # What the model said meanwhile is not what is fallen back to.
    found = safety.judge(batch(p99_pred=np.nan), judge)
    assert found.columns["p99_pred"][0] == 131.0


def test_the_gateways_word_is_enough(safety: Safety) -> None:
    judge, asked = prepared(safety), batch()
    asked.emergency = True
    found = safety.judge(asked, judge)
    assert (rungs(found), bool(found.emergency)) == ([Rung.BASELINE], True)
    assert rungs(safety.judge(batch(), judge)) == [Rung.MODEL]


def test_an_override_is_put_into_answers_of_any_rung_and_named(
    safety: Safety, replica: LittleReplica
) -> None:
    judge = prepared(safety)
    replica.steering.value = state(2, overrides=(override(),))
    found = safety.judge(batch(2), judge)
    assert found.columns["autoscale_workers"].tolist() == [40.0, 40.0]
    assert found.overrides == {0: {"autoscale_workers": "o1"}, 1: {"autoscale_workers": "o1"}}
    assert rungs(found) == [Rung.MODEL] * 2
    replica.steering.value = state(3, emergency=ON, overrides=(override(entity="auth"),))
    assert safety.judge(batch(), judge).columns["autoscale_workers"][0] == 40.0
    assert safety.judge(batch(entity="other"), judge).overrides == {}
    replica.clocks.now += 60
    assert safety.judge(batch(), judge).overrides == {}


def test_an_overridden_answer_is_not_what_is_fallen_back_to(
    safety: Safety, replica: LittleReplica
) -> None:
    judge = prepared(safety)
    replica.steering.value = state(2, overrides=(override(field="p99_pred", value=1.0),))
    assert safety.judge(batch(p99_pred=131.0), judge).columns["p99_pred"][0] == 1.0
    replica.steering.value = state(3)
    assert safety.judge(batch(p99_pred=np.nan), judge).columns["p99_pred"][0] == 131.0


def test_an_override_that_redis_forgot_is_in_no_answer_of_its_revision(
    safety: Safety, replica: LittleReplica
) -> None:
    judge = prepared(safety)
    replica.steering.value = state(5, overrides=(override(id="forgotten", value=40.0),))
    assert safety.judge(batch(), judge).columns["autoscale_workers"][0] == 40.0
    # Redis lost its last second, and gives the revision out again.
    replica.steering.value = state(4)
    assert safety.judge(batch(), judge).overrides == {}
    replica.steering.value = state(5, overrides=(override(id="anew", value=10.0),))
    assert safety.judge(batch(), judge).overrides == {0: {"autoscale_workers": "anew"}}
    replica.steering.value = state(5, overrides=(override(id="elsewhere", entity="other"),))
    assert safety.judge(batch(), judge).overrides == {}


def off(family: str = "tail", **changes: Any) -> Override:
    return override(family=family, field="safety_checks", value="off", **changes)


@pytest.mark.parametrize(
    ("asked", "confirmed", "is_off"),
    [
        (False, (), False),
        (True, (), False),
        (False, (off(),), False),
        (True, (off(),), True),
        (True, (off("capacity"),), False),
        (True, (off(expires=NOW),), False),
    ],
)
def test_checks_are_off_only_where_a_start_asked_and_an_admin_confirmed(
    replica: LittleReplica, asked: bool, confirmed: tuple[Override, ...], is_off: bool
) -> None:
    replica.settings = Settings(enable_safety_checks=not asked)
    replica.steering.value = state(2, overrides=confirmed)
    stands_in: Any = replica
    safety = Safety(stands_in)
    judge = prepared(safety)
    found = safety.judge(batch(p99_pred=1e9), judge)  # longer than any latency
    assert found.unchecked is is_off
    assert (rungs(found) == [Rung.MODEL]) is is_off
    # What no answer can carry leaves in no case.
    found = safety.judge(batch(p99_pred=np.nan), judge)
    assert np.isfinite(found.columns["p99_pred"]).all()
    found = safety.judge(batch(action=7.0), judge)
    assert (found.columns["action"] >= 0).all()
    assert (found.columns["action"] <= 3).all()


@pytest.mark.parametrize(
    ("rules", "spoiled", "rule"),
    [
        (
            EmergencyRules(critical=CriticalRule(count=3, seconds=60)),
            {"p99_pred": np.nan},
            "critical",
        ),
        (EmergencyRules(errors=ErrorRule(share=0.9, seconds=60, least_rows=3)), {}, "errors"),
        (
            EmergencyRules(
                drift=(DriftRule(family="tail", field="p99_pred", seconds=60, least_rows=100),)
            ),
            {"p99_pred": 150.0},
            "drift",
        ),
    ],
)
def test_each_rule_turns_emergency_mode_on(
    safety: Safety,
    replica: LittleReplica,
    rules: EmergencyRules,
    spoiled: dict[str, Any],
    rule: str,
) -> None:
    judge, emergencies = prepared(safety), safety._emergencies
    emergencies.configure(rules)
    if rule == "drift":
        for value in np.linspace(100, 140, 200):
            safety.judge(batch(p99_pred=value), judge)
    for _ in range(100 if rule == "drift" else 3):
        asked = batch(**spoiled)
        if rule == "errors":
            for name in judge.outputs:
                del asked.columns[name]
        safety.judge(asked, judge)
    found = emergencies._rules.broken([emergencies._counted().platform], NOW)
    assert found is not None
    assert found.rule == rule
    emergencies.begin(found)
    assert rungs(safety.judge(batch(), judge)) == [Rung.BASELINE]
    # An admin ends it, and what led to it does not begin it again.
    replica.steering.value = state(2, released=replica.clocks.now + 1)
    emergencies._forget_what_is_over()
    assert emergencies.now() is None
    assert emergencies._rules.broken([emergencies._counted().platform], NOW) is None


def test_a_limit_that_calls_for_an_emergency_begins_it_with_this_very_answer(
    safety: Safety,
) -> None:
    never = Range(
        field="p999_pred",
        high=50_000.0,
        level=Level.CRITICAL,
        repair=Repair.EMERGENCY,
        message="This must not be.",
    )
    policy = tail_policy().model_copy(update={"ranges": (*tail_policy().ranges, never)})
    judge = prepared(safety, policy)
    asked = batch(2, p999_pred=310.0)
    asked.columns["p999_pred"] = np.array([310.0, 55_000.0])
    found = safety.judge(asked, judge)
    assert rungs(found) == [Rung.BASELINE] * 2
    now = safety._emergencies.now()
    assert now is not None
    assert "auth" in now.reason
    assert safety._emergencies.wake.is_set()
