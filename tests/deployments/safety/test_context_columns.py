"""What safety is given besides a batch's own columns, and what of it goes back into an answer."""

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pytest

from config_store.document import ConfigDocument
from config_store.shipped import default_document
from config_store.sources import EntityFacts
from config_store.store import Version
from deployments.api.capacity import CAPACITY
from deployments.api.endpoint import InferenceEndpoint
from deployments.api.studies import STUDY
from deployments.gateway.pipeline.envelope import unjudged_of
from deployments.runtime.batch import Batch, Detail, Judgement
from deployments.safety.context_columns import ContextColumns
from deployments.safety.judge import Judge

HOUR = 3600.0
# A Friday on which New York trades from 14:30 to 18:00 UTC: the day after Thanksgiving.
TEN = datetime(2026, 11, 27, 15, 0, tzinfo=UTC).timestamp()


class Freeze(NamedTuple):
    begins: float
    ends: float


def version_with(family: str, **limits: Any) -> Version:
    """Make a version whose policy of one family has these limits beside the shipped ones."""
    fields: dict[str, Any] = default_document().model_dump(mode="json")
    policy = fields["safety"]["families"][family]
    for kind, added in limits.items():
        policy[kind] = added if isinstance(added, dict) else [*policy.get(kind, ()), *added]
    fields["sources"]["entities"] = {"gateway": EntityFacts(exchange="XNYS").model_dump()}
    document = ConfigDocument.model_validate(fields)
    made = datetime(2026, 11, 27, tzinfo=UTC)
    return Version(3, document.config_hash, "ada", "a test", made, document)


def carried(
    family: InferenceEndpoint,
    version: Version,
    columns: dict[str, float],
    detail: Detail,
    freezes: tuple[Freeze, ...] = (),
) -> Judgement:
    """Judge one row as a request does: unfolded, with its context columns, and folded again."""
    context = ContextColumns(family, lambda: freezes)
    batch = Batch(
        family.name, ["gateway"], {name: np.array([each]) for name, each in columns.items()}
    )
    batch, items = context.to_safety(batch, [detail], version, TEN)
    found = Judge.of(version.document.safety.families[family.name]).judge(batch)
    return context.from_safety(found, [detail], items, version)


PLANNED = {
    "request_rate": 100.0,
    "active_workers": 4.0,
    "next_hour_workers": 4.0,
    "queue_capacity": 100.0,
    "rate": 100.0,
    "lower": 90.0,
    "upper": 110.0,
}


def plan() -> Detail:
    """Make a plan of six hours, whose first is half an hour old."""
    hours = 6
    return {
        "data": {
            "start": int(TEN - HOUR / 2),
            "workers": [4] * hours,
            "point": [100.0] * hours,
            "lower": [90.0] * hours,
            "upper": [110.0] * hours,
        }
    }


def closed(**more: Any) -> dict[str, Any]:
    return {
        "field": "next_hour_workers",
        "low": 6,
        "level": "unsafe",
        "repair": "clamp",
        "message": "Nights are for backups.",
        "when": {"left": "time.market_open", "op": "==", "right": 0},
    } | more


def test_each_hour_of_a_plan_has_its_own_time() -> None:
    detail = plan()
    found = carried(CAPACITY, version_with("capacity", ranges=[closed()]), PLANNED, detail)
    # 15:30, 16:30 and 17:30 are in the session, of which 18:00 is the end.
    assert detail["data"]["workers"] == [4, 4, 4, 4, 6, 6]
    assert [each["hour"] for each in found.violations[0]] == [5, 6]
    assert found.levels[0] == 2


def test_an_hour_that_is_refused_refuses_the_plan_and_says_which() -> None:
    version = version_with("capacity", ranges=[closed(name="nights", repair="refuse")])
    found = carried(CAPACITY, version, PLANNED, plan())
    assert found.refusals[0]["code"] == "policy"
    assert "'nights'" in found.refusals[0]["message"]
    assert "hour 5" in found.refusals[0]["message"]


def test_what_is_forbidden_at_an_hour_is_the_hours_to_report() -> None:
    when = {"left": "time.market_open", "op": "==", "right": 0}
    ban = {"name": "nights", "when": when, "level": "unsafe", "repair": "emergency", "message": "m"}
    found = carried(CAPACITY, version_with("capacity", forbidden=[ban]), PLANNED, plan())
    assert [each["hour"] for each in found.violations[0]] == [5, 6]
    assert found.alarms == {0: "nights"}
    assert not found.fallback[0]


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (Freeze(TEN, TEN + 1), True),
        (Freeze(TEN - 9, TEN), False),  # an end is no part of its freeze
        (Freeze(TEN + 1, TEN + 9), False),
    ],
)
def test_a_freeze_is_a_window_that_is_handed_in(freeze: Freeze, frozen: bool) -> None:
    when = {"left": "time.frozen", "op": "==", "right": 1}
    ban = {"name": "frozen", "when": when, "level": "unsafe", "repair": "refuse", "message": "m"}
    version = version_with("capacity", forbidden=[ban])
    assert bool(carried(CAPACITY, version, PLANNED, plan(), (freeze,)).refusals) is frozen


SUGGESTED = {"expected_improvement": 0.1, "lower": -1e300, "upper": 1e300}


def trial(**parameters: Any) -> Detail:
    return {"data": {"parameters": parameters}, "meta": {"suggestion": {"source": "model"}}}


def at_most(name: str, high: float, repair: str = "clamp") -> dict[str, Any]:
    return {
        "field": f"parameter.{name}",
        "low": 1.5,
        "high": high,
        "level": "unsafe",
        "repair": repair,
        "message": "More than there are.",
    }


@pytest.mark.parametrize(
    ("given", "left"),
    [(8, 4), (8.0, 4.5), (4, 4), (1, 2), (True, True), ("many", "many")],
)
def test_a_parameter_is_moved_within_its_limit_and_keeps_its_type(given: Any, left: Any) -> None:
    detail = trial(threads=given, other=99)
    version = version_with("bayes-opt", ranges=[at_most("threads", 4.5)])
    found = carried(STUDY, version, SUGGESTED, detail)
    if given is True:
        left = True  # one and a half is no answer to yes or no: the nearest is still yes
    assert detail["data"]["parameters"] == {"threads": left, "other": 99}
    assert type(detail["data"]["parameters"]["threads"]) is type(given)
    moved = ["threads"] if left != given else []
    assert detail["meta"].get("moved", []) == moved
    assert not found.fallback[0]


def test_a_study_without_the_parameter_is_not_bound_by_its_limit() -> None:
    detail = trial(other=99)
    version = version_with("bayes-opt", ranges=[at_most("threads", 4.5, "refuse")])
    found = carried(STUDY, version, SUGGESTED, detail)
    assert (found.refusals, found.violations) == ({}, {})


def test_a_suggestion_that_may_not_be_tried_is_refused_by_the_rules_name() -> None:
    version = version_with("bayes-opt", ranges=[at_most("threads", 4.5, "refuse")])
    found = carried(STUDY, version, SUGGESTED, trial(threads=8))
    assert "range:parameter.threads" in found.refusals[0]["message"]


@pytest.mark.parametrize(("choice", "refused"), [("a", False), ("c", True), (3, True)])
def test_of_a_text_only_the_choices_that_are_listed_may_leave(choice: Any, refused: bool) -> None:
    version = version_with("bayes-opt", codes={"parameter.kind": ["a", "b"]})
    found = carried(STUDY, version, SUGGESTED, trial(kind=choice))
    assert bool(found.refusals) is refused


def test_parameters_without_a_limit_are_told_to_be_unjudged() -> None:
    data = {"parameters": {"threads": 4, "other": 1}}
    assert unjudged_of(STUDY, ["lower", "parameter.threads"], data) == ("parameters.other",)
    assert unjudged_of(STUDY, ["lower"], data) == ("parameters",)


def test_nothing_is_added_where_the_policy_names_nothing() -> None:
    version = version_with("capacity")
    batch = Batch("capacity", ["gateway"], {"rate": np.array([math.nan])})
    ContextColumns(CAPACITY).add(batch, [plan()], None, version, TEN)
    assert list(batch.columns) == ["rate"]
