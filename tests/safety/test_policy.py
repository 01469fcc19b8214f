import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from safety.caps import HIGHEST_CANARY_PERCENTAGE, Caps
from safety.errors import UnknownFamilyError
from safety.limits import LEVELS, Level, Limit
from safety.policy import FamilyPolicy, SafetyPolicy
from safety.shipped import default_policy
from safety.tail import tail_policy


def plain() -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(tail_policy().model_dump_json())
    return fields


def small(**changes: Any) -> dict[str, Any]:
    """Make the smallest family there is: one input, one output, one recipe."""
    fields: dict[str, Any] = {
        "inputs": ["x"],
        "outputs": ["y"],
        "fallback": [{"kind": "constant", "field": "y", "value": 1}],
    }
    return fields | changes


def limit(**changes: Any) -> dict[str, Any]:
    return {"field": "y", "low": 0, "high": 2, "level": "unsafe", "message": "m"} | changes


COMPARED = {"left": "x", "op": ">", "right": 0}


def nested(depth: int) -> dict[str, Any]:
    condition: dict[str, Any] = COMPARED
    for _ in range(depth - 1):
        condition = {"any": [condition]}
    return condition


def change(**changes: Any) -> dict[str, Any]:
    return {"field": "y", "rise": 1, "level": "unsafe", "message": "m"} | changes


def forbidden(**changes: Any) -> dict[str, Any]:
    return {"name": "f", "when": COMPARED, "level": "unsafe", "message": "m"} | changes


def relation(**changes: Any) -> dict[str, Any]:
    return {"lesser": "y", "greater": "x", "level": "unsafe", "message": "m"} | changes


def test_levels_count_from_best_to_worst() -> None:
    assert [level.code for level in LEVELS] == [0, 1, 2, 3]
    assert [str(level) for level in LEVELS] == ["safe", "warning", "unsafe", "critical"]


def test_the_policy_survives_json() -> None:
    policy = default_policy()
    assert SafetyPolicy.model_validate_json(policy.model_dump_json()) == policy


def test_a_family_without_a_policy_is_named() -> None:
    with pytest.raises(UnknownFamilyError, match="'market', only tail"):
        default_policy().family("market")


def test_the_smallest_family_is_accepted() -> None:
    FamilyPolicy.model_validate(small(ranges=[limit(repair="clamp")], relations=[relation()]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inputs": ["x", "y"]}, "named twice"),
        ({"ranges": [limit(field="z")]}, r"does not have: \['z'\]"),
        ({"relations": [relation(greater="z")]}, r"does not have: \['z'\]"),
        ({"ranges": [limit(low=None, high=None)]}, "needs a low or a high"),
        ({"ranges": [limit(low=3)]}, "low 3.0 > high 2.0"),
        ({"ranges": [limit(low=None, above_low=True)]}, "without a low bound"),
        ({"ranges": [limit(low=float("nan"))]}, "finite"),
        ({"ranges": [limit(level="fatal")]}, "'safe', 'warning'"),
        ({"ranges": [limit(field="x", repair="clamp")]}, "x is an input"),
        (
            {"inputs": ["x", "w"], "relations": [relation(lesser="w", repair="clamp")]},
            "exactly one side",
        ),
        ({"relations": [relation(greater="y")]}, "needs two fields"),
        ({"relations": [relation(factor=0)]}, "greater than 0"),
        ({"codes": {"x": ["a"]}}, "only name outputs"),
        ({"whole": ["x"]}, "only name outputs"),
        ({"fallback": []}, "one recipe for each output"),
        ({"outputs": ["y", "w"]}, "one recipe for each output"),
        ({"ranges": [limit(low=1.5)]}, r"can reach \[1.0, 1.0\]"),
        ({"ranges": [limit(low=1, above_low=True)]}, r"can reach \[1.0, 1.0\]"),
        ({"ranges": [limit(high=0.5)]}, r"can reach \[1.0, 1.0\]"),
        ({"codes": {"y": ["only"]}}, r"can reach \[1.0, 1.0\]"),
        ({"responses": {"critical": "keep"}}, "substitute"),
        ({"ranges": [limit(when={"left": "z", "op": ">", "right": 0})]}, r"not have: \['z'\]"),
        ({"ranges": [limit(when={"left": "x", "op": ">", "right": "z"})]}, r"not have: \['z'\]"),
        ({"ranges": [limit(when={"left": "x", "op": "=>", "right": 0})]}, "Input should be '<'"),
        ({"ranges": [limit(when={"all": []})]}, "at least 1 item"),
        ({"ranges": [limit(when={"all": [COMPARED] * 65})]}, "65 comparisons"),
        ({"ranges": [limit(when=nested(9))]}, "deeper than 8"),
        ({"ranges": [limit(when=7)]}, "when"),
        ({"ranges": [limit(field="last.z")]}, r"not have: \['last.z'\]"),
        ({"ranges": [limit(field="time.moon")]}, r"not have: \['time.moon'\]"),
        ({"ranges": [limit(level="warning", repair="refuse")]}, "nothing is done at level warning"),
        ({"ranges": [limit(level="safe", repair="emergency")]}, "nothing is done at level safe"),
        ({"ranges": [limit(high=0.5, repair="emergency")]}, r"can reach \[1.0, 1.0\]"),
        ({"ranges": [limit(field="parameter.p")]}, "no fallback suggests a trial"),
        ({"ranges": [limit(field="last.y", repair="clamp")]}, "can only fall back"),
        ({"changes": [change(rise=None)]}, "needs a rise or a fall"),
        ({"changes": [change(rise_share=1, per_seconds=60)]}, "whatever its age"),
        ({"changes": [change(rise=-1)]}, "greater than or equal to 0"),
        ({"changes": [change(field="x")]}, r"not have: \['last.x'\]"),
        ({"forbidden": [forbidden(name="")]}, "at least 1 character"),
        ({"forbidden": [forbidden(when=None)]}, "when"),
        ({"forbidden": [forbidden(repair="clamp")]}, "has no field to clamp"),
        ({"caps": {"max_canary_percentage": 10.1}}, "less than or equal to 10"),
        ({"caps": {"min_admit_fraction": 0}}, "greater than 0"),
        ({"surprise": 1}, "Extra inputs"),
    ],
)
def test_a_family_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FamilyPolicy.model_validate(small(**changes))


def test_a_fault_in_a_condition_is_named_by_its_path() -> None:
    bad = {"all": [COMPARED, {"any": [{"left": "x", "op": "=>", "right": 0}]}]}
    with pytest.raises(ValidationError) as refused:
        FamilyPolicy.model_validate(small(ranges=[limit(when=bad)]))
    path = ".".join(str(part) for part in refused.value.errors()[0]["loc"])
    assert path == "ranges.0.when.all.all.1.any.any.0.comparison.op"


def test_a_limit_on_trial_may_be_narrower_than_the_fallback() -> None:
    FamilyPolicy.model_validate(small(ranges=[limit(high=0.5, level="safe")]))


def test_a_recipe_may_only_read_what_is_there_before_it() -> None:
    fields = plain()
    fields["fallback"].insert(0, fields["fallback"].pop(4))  # the interval before its p99
    with pytest.raises(ValidationError, match="too early"):
        FamilyPolicy.model_validate(fields)


def test_workers_cannot_be_capped_without_knowing_how_many_there_are() -> None:
    fields = plain()
    fields["inputs"].remove("active_workers")
    fields["ranges"] = [r for r in fields["ranges"] if r["field"] != "active_workers"]
    with pytest.raises(ValidationError, match="need the input active_workers"):
        FamilyPolicy.model_validate(fields)


@given(st.floats(HIGHEST_CANARY_PERCENTAGE, allow_nan=False, exclude_min=True))
def test_no_policy_can_raise_the_canary_over_the_platforms_limit(percentage: float) -> None:
    with pytest.raises(ValidationError):
        Caps(max_canary_percentage=percentage)


def test_caps_govern_only_what_a_family_answers() -> None:
    caps = Caps()
    assert caps.ranges(("p99_pred",)) == ()
    assert caps.relations(("p99_pred",)) == ()
    assert [limit.field for limit in caps.ranges(("canary_percentage",))] == ["canary_percentage"]


def test_a_warning_is_kept_and_worse_is_not() -> None:
    responses = tail_policy().responses
    assert [responses.substitutes(level) for level in Level] == [False, False, True, True]


def test_a_limit_that_does_not_say_what_it_governs_cannot_be_made() -> None:
    class Silent(Limit):
        pass

    with pytest.raises(TypeError, match="governs"):
        Silent(level=Level.WARNING, message="m")  # type: ignore[abstract] # that is the test
