"""Decisions played under another version, held against a scalar computation of the same."""

import math
from pathlib import Path
from typing import Any

import orjson
import pytest

from config_store.shipped import default_document
from deployments.impact.models_again import CANNOT, AskedAgain
from deployments.impact.playing import NO_FIELD, OTHERWISE, Playing
from deployments.impact.recorded import SHADOW
from deployments.impact.replay import Rules
from deployments.impact.said import UNRECORDED
from deployments.impact.tally import Tally
from deployments.impact.wire import Outcome
from tests.deployments.house import document_with
from tests.deployments.impact.decisions import CODES, Drawn, Row, drawn, stricter, version_of

MOST, SUREST = 20.0, 0.9
LONGEST = 60_000.0


def playing(candidate: Any, base: Any | None = None) -> Playing:
    """Play under a document what the shipped one, or another, had answered."""
    own = Rules(version_of(base or default_document(), 1))
    return Playing(Rules(version_of(candidate, 2)), {1: own}, AskedAgain(Path("nowhere")))


def play(found: Drawn, candidate: Any) -> list[Outcome]:
    nobody_before = dict.fromkeys(each.decision_id for each in found.decisions)
    return playing(candidate).play(found.texts, nobody_before)


def shown(row: Row) -> dict[str, Any]:
    """Give what the client was shown, by the names of columns."""
    found: dict[str, Any] = row["answer"]["data"]
    return found | {name: row["answer"]["interval"][name] for name in ("lower", "upper")}


def fallback(given: dict[str, float], most: float) -> dict[str, Any]:
    """Answer by the shipped recipes, written out: for a service that is known."""

    def within(value: float) -> float:
        return min(max(value, 0.001), LONGEST)

    p50, p95, p99, p999 = (within(times * given["baseline_ms"]) for times in (1.5, 6, 12, 25))
    late = p99 > given["slo_ms"]
    workers = min(math.ceil(max(1.25 * given["active_workers"], 1.0)), most)
    workers = max(workers, given["active_workers"] - 20)
    return {
        "p50_pred": p50,
        "p95_pred": p95,
        "p99_pred": p99,
        "p999_pred": p999,
        "lower": within(0.2 * p99),
        "upper": within(2.5 * p99),
        "breach_probability": 0.9 if late else 0.5,
        "action": "page" if late else "scale_up",
        "admit_fraction": 0.5 if late else 1.0,
        "autoscale_workers": int(workers),
    }


def by_hand(found: Drawn, at: int, row: Row, before: dict[str, Any]) -> dict[str, Any]:
    """Give what the stricter version answers: the shipped limits, and two more."""
    given = {name: float(column[at]) for name, column in found.inputs.items()}
    was_fallback = row["answer"]["safety"]["fallback"]
    if was_fallback or found.said["breach_probability"][at] > SUREST:
        return fallback(given, MOST)
    # The shipped caps come after the ranges, and a fleet shrinks by 20 at most.
    workers = min(before["autoscale_workers"], MOST)
    return before | {"autoscale_workers": int(max(workers, given["active_workers"] - 20))}


def test_each_answer_is_the_one_that_a_scalar_computation_gives() -> None:
    found = drawn(2_000, seed=5)
    outcomes = play(found, stricter(default_document(), MOST, SUREST))
    changed, sizes, flips = 0, dict[str, list[float]](), dict[tuple[str, str], int]()
    for at, (outcome, row) in enumerate(zip(outcomes, found.rows, strict=True)):
        before = shown(row)
        after = by_hand(found, at, row, before)
        expected = {
            name: (before[name], after[name]) for name in after if before[name] != after[name]
        }
        assert {each[0]: each[2:] for each in outcome["changes"]} == expected, row
        changed += bool(expected)
        for name, (one, other) in expected.items():
            if name == "action":
                flips[one, other] = flips.get((one, other), 0) + 1
            else:
                sizes.setdefault(name, []).append(abs(other - one))
    assert changed > 500
    check_counts(outcomes, changed, sizes, flips)


def check_counts(
    outcomes: list[Outcome],
    changed: int,
    sizes: dict[str, list[float]],
    flips: dict[tuple[str, str], int],
) -> None:
    """Hold the report's numbers against those of the scalar computation."""
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome)
    tail = tally.families(None)["tail"]
    assert (tail.replayed, tail.changed.rows) == (len(outcomes), changed)
    assert tail.changed.low == tail.changed.high == changed / len(outcomes)
    assert tail.fields.keys() == {*sizes, *(["action"] if flips else [])}
    for name, all_sizes in sizes.items():
        ordered, field = sorted(all_sizes), tail.fields[name]
        assert field.changed.rows == len(ordered)
        # The smallest with at least so large a share at or below it.
        assert field.median == ordered[math.ceil(0.5 * len(ordered)) - 1], name
        assert field.p95 == ordered[math.ceil(0.95 * len(ordered)) - 1], name
        assert field.largest == ordered[-1]
        assert field.raised + field.lowered == len(ordered)
        first = field.examples[0]
        assert abs(first.after - first.before) == pytest.approx(ordered[-1])
    counted = {
        (each.before, each.after): each.count.rows for each in tail.flips if each.field == "action"
    }
    assert counted == flips
    assert tally.flipped(None).rows == sum(flips.values())


def test_a_version_that_says_the_same_changes_nothing() -> None:
    for outcome in play(drawn(500, seed=6), default_document()):
        assert "left_out" not in outcome, outcome
        found = [outcome[name] for name in ("changes", "flips", "new", "gone")]
        assert found == [[]] * 4


def test_a_milder_version_lets_out_what_was_withheld() -> None:
    strict = version_of(stricter(default_document(), MOST, SUREST), 1)
    found = drawn(500, seed=7, version=strict)
    mild = Playing(
        Rules(version_of(default_document(), 2)), {1: Rules(strict)}, AskedAgain(Path("nowhere"))
    )
    outcomes = mild.play(found.texts, dict.fromkeys(e.decision_id for e in found.decisions))
    let_out = 0
    for at, (outcome, row) in enumerate(zip(outcomes, found.rows, strict=True)):
        if ("rung", "baseline", "model") not in [tuple(each) for each in outcome["flips"]]:
            continue
        let_out += 1
        after = {each[0]: each[3] for each in outcome["changes"]}
        assert after["breach_probability"] == found.said["breach_probability"][at] > SUREST
        assert ("too-sure", "unsafe") in outcome["gone"]
        if "action" in after:
            assert after["action"] == CODES[int(found.said["action"][at])]
        assert row["answer"]["safety"]["fallback"]
    assert let_out > 20


def test_what_is_not_in_the_record_is_left_out_with_the_reason() -> None:
    found = drawn(60, seed=8)
    rows = found.rows
    fell_back = next(row for row in rows if row["answer"]["safety"]["fallback"])
    clean = next(row for row in rows if row["answer"]["safety"]["level"] == "safe")
    older = {name: value for name, value in fell_back.items() if name != "withheld"}
    put = clean | {"answer": clean["answer"] | {"safety": clean["answer"]["safety"]}}
    put["answer"]["safety"] = put["answer"]["safety"] | {"override": "5c0f3e9a1b2d4786"}
    altered = clean | {"features": clean["features"] | {"active_workers": 1.0}}
    altered["answer"] = clean["answer"]
    other = clean | {"config_version": 7}
    beside = clean | {"shadow_of": clean["decision_id"]}
    cases = [
        (older, UNRECORDED),
        (put, NO_FIELD),
        (other, "the version that answered it cannot be read any more"),
        (beside, SHADOW),
        (clean | {"family": "weather"}, "this release serves no family 'weather'"),
        (
            clean | {"request": {"planets": 9}},
            "its request does not fit the contract of this release",
        ),
    ]
    texts = [orjson.dumps(row).decode() for row, _ in cases]
    outcomes = playing(default_document()).play(texts, {row["decision_id"]: None for row in rows})
    assert [each.get("left_out") for each in outcomes] == [why for _, why in cases]


def test_an_answer_that_its_own_version_would_not_have_given_is_left_out() -> None:
    _, row = drawn(2, seed=9).rows
    row["answer"]["data"]["autoscale_workers"] = 4_000
    row.pop("withheld", None)
    (outcome,) = playing(default_document()).play(
        [orjson.dumps(row).decode()], {row["decision_id"]: None}
    )
    assert outcome["left_out"] == OTHERWISE


def test_one_that_fell_back_is_looked_up_before_it_is_judged() -> None:
    found = drawn(200, seed=10)
    outcomes = playing(default_document()).play(found.texts, {})
    for outcome, row in zip(outcomes, found.rows, strict=True):
        assert ("needs_last" in outcome) is row["answer"]["safety"]["fallback"]


def test_of_a_model_that_cannot_be_asked_nothing_is_made_up() -> None:
    found = drawn(20, seed=11)
    clean = [row["decision_id"] for row in found.rows if not row["answer"]["safety"]["fallback"]]
    outcomes = play(found, document_with(default_document(), slo_ms=77.0))
    reasons = {each["id"]: each.get("left_out", "") for each in outcomes}
    assert {reasons[each] for each in clean} == {
        "the files of tail/xgboost-quantile 1.0.0 are not here any more"
    }
    assert CANNOT not in reasons.values()
