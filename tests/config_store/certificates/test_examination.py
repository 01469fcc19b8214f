"""What the ledger's rows say of the two arms."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest

from config_store.certificates.certificate import FIRST
from config_store.certificates.examination import MOST_WAITING, Examination
from config_store.certificates.observations import observations
from config_store.certificates.plan import OPEN_WIDTH, WIDEST, Plan, margins_of
from models.evidence.margins import Quantile, Rate
from models.evidence.verdict import Verdict
from observability.ledger.decision import Decision
from observability.ledger.entry import Entry
from tests.config_store.certificates.step import (
    CANDIDATE,
    INCUMBENT,
    NOW,
    ROWS_OF_ENTRY,
    STATED,
    Rows,
    Stated,
    Step,
    chain,
    plan_of,
)

CANARY = plan_of(paired=False)


def read(plan: Plan, *decisions: Decision) -> list[Any]:
    return observations(plan, chain("gw-a", decisions))


def test_the_values_of_a_row() -> None:
    rows = Rows()
    row = rows.row(CANDIDATE, "checkout", allowed=False, processing_time_ms=7.5)
    (seen,) = read(CANARY, row)
    assert (seen.key, seen.candidate, seen.decision_id) == ("checkout", True, row.decision_id)
    values = seen.values
    width = orjson.loads(row.row)["answer"]["interval"]["upper"] - 5.0
    assert values == {
        "p99_ms": 7.5,
        "violation_rate": 1.0,
        "error_rate": 0.0,
        "interval_width": pytest.approx(width),
    }
    answer = {"interval": None, "meta": {"fallback_reason": "the model is away"}}
    (seen,) = read(CANARY, rows.row(INCUMBENT, "checkout", answer=answer))
    assert (seen.candidate, seen.values["error_rate"]) == (False, 1.0)
    assert math.isnan(seen.values["interval_width"])


def test_what_a_row_does_not_say_is_missing() -> None:
    (seen,) = read(CANARY, Rows().row(CANDIDATE, "e", answer=None, allowed=None))
    assert all(math.isnan(seen.values[name]) for name in seen.values if name != "p99_ms")


FALLEN_BACK = {"safety": {"fallback": True}}


@pytest.mark.parametrize(
    ("answer", "width"),
    [
        ({"interval": {"lower": None, "upper": 3.0, "method": "cqr"}, "meta": {}}, OPEN_WIDTH),
        ({"interval": None, "meta": {"interval_reason": "any value is possible"}}, OPEN_WIDTH),
        ({"interval": None, "meta": {"rung": "baseline"}, **FALLEN_BACK}, None),
        ({"interval": {"lower": 1.0, "upper": 3.0, "method": "fallback"}, "meta": {}}, None),
    ],
)
def test_a_model_that_claims_nothing_has_no_narrow_interval(
    answer: dict[str, Any], width: float | None
) -> None:
    (seen,) = read(CANARY, Rows().row(CANDIDATE, "e", answer=answer))
    found = seen.values["interval_width"]
    assert math.isnan(found) if width is None else found == width
    assert OPEN_WIDTH / 11 > WIDEST  # also of a candidate, with the largest margin


def test_rows_of_a_state_go_by_its_tag() -> None:
    plan = CANARY.model_copy(update={"stateful": ("study",)})
    rows = Rows()
    study, tail = rows.row(CANDIDATE, "e", family="study"), rows.row(CANDIDATE, "e")
    assert [each.key for each in read(plan, study, tail)] == [study.decision_id[-8:], "e"]


def later(entry: Entry) -> Entry:
    """Give an entry that was written a minute later."""
    header = replace(entry.header, created_ms=entry.header.created_ms + 60_000)
    return Entry(header, entry.prev_hash, entry.entry_hash, entry.rows)


def test_what_is_written_down_in_the_next_minute_is_one_observation_with_that_minute() -> None:
    plan = CANARY.model_copy(
        update={"margins": CANARY.margins.model_copy(update={"grouped": True})}
    )
    rows = Rows()
    asked = [rows.row(INCUMBENT, "busy") for _ in range(2 * ROWS_OF_ENTRY)]
    rows.wait(60)
    asked += [rows.row(INCUMBENT, "busy") for _ in range(ROWS_OF_ENTRY)]
    first, second, third = chain("gw-a", asked)
    examination = Examination(plan)
    examination.look(NOW + 60, [first])
    look = examination.look(NOW + 120, [later(second), later(third)])
    assert look.metrics["p99_ms"].values == (2.0, 0.0)


def study_canary(count: int) -> list[Decision]:
    """Let both arms answer for a family that has no intervals."""
    none = {"interval": None, "meta": {"interval_reason": "a suggestion is no forecast"}}
    rows = Rows()
    return [
        rows.row(CANDIDATE if at % 2 else INCUMBENT, f"e{at}", family="study", answer=none)
        for at in range(count)
    ]


def test_a_metric_that_a_family_cannot_have_holds_nothing_back() -> None:
    plan = CANARY.model_copy(update={"without_interval": ("study",)})
    examination = Examination(plan)
    look = examination.look(NOW, chain("gw-a", study_canary(3000)))
    width = look.metrics["interval_width"]
    assert (width.values, width.missing) == ((0.0, 0.0), (0, 0))
    assert look.verdict is Verdict.GOOD, look.reason
    # With a family that has intervals it is needed again.
    lost = [Rows(2).row(at % 2 + INCUMBENT, f"late{at}", answer=None) for at in range(40)]
    look = examination.look(NOW + 1, chain("gw-b", lost))
    assert (look.verdict, look.reason[:15]) == (Verdict.UNKNOWN, "interval_width:")


def test_models_that_claim_nothing_in_both_arms_are_no_worse() -> None:
    examination = Examination(CANARY)
    look = examination.look(NOW, chain("gw-a", study_canary(3000)))
    assert look.metrics["interval_width"].verdict is Verdict.GOOD
    open_now: dict[str, Any] = {"interval": None, "meta": {}}
    worse = Examination(CANARY)
    look = worse.look(NOW, chain("gw-a", Rows().canary(3000, answer=open_now)))
    assert look.metrics["interval_width"].verdict is Verdict.BAD


def test_rows_of_others_are_passed_over() -> None:
    rows = Rows()
    own, other = rows.row(CANDIDATE, "e"), rows.row(3, "e")
    shadow = rows.row(CANDIDATE, "e", shadow_of=own.decision_id)
    elsewhere = rows.row(INCUMBENT, "e", family="anomaly")
    assert len(read(CANARY, own, other, shadow)) == 1
    tail = CANARY.model_copy(update={"family": "tail-slo"})
    assert len(read(tail, own, elsewhere)) == 1
    late = CANARY.model_copy(update={"begins_ms": int((NOW + 60) * 1000)})
    assert read(late, own) == []


def test_rows_are_sorted_by_their_ids() -> None:
    decisions = Rows().canary(20)
    ids = [each.decision_id for each in read(CANARY, *reversed(decisions))]
    assert ids == sorted(ids)


def test_a_shadow_is_paired_with_what_it_is_beside_also_a_look_later() -> None:
    decisions = Rows().shadow(300)
    asked, beside = decisions[::2], decisions[1::2]
    examination = Examination(plan_of(paired=True))
    one, other = chain("gw-a", asked), chain("shadow", beside)
    assert examination.look(NOW, one).rows == 0
    kept = orjson.loads(orjson.dumps(examination.to_json()))
    again = Examination.from_json(kept)
    assert examination.look(NOW + 1, other) == again.look(NOW + 1, other)
    assert again.looks[-1].rows == 600
    assert again.certificate(FIRST) == examination.certificate(FIRST)


def test_answers_without_a_partner_do_not_wait_for_ever() -> None:
    rows, examination = Rows(), Examination(plan_of(paired=True))
    lone = [rows.row(INCUMBENT, "e") for _ in range(MOST_WAITING + 50)]
    examination.look(NOW, chain("gw-a", lone))
    kept = [each["answers"] for each in examination.to_json()["waiting"]]
    assert kept == [each.decision_id for each in lone[50:]]


def test_a_bad_candidate_is_bad() -> None:
    examination = Examination(CANARY)
    look = examination.look(NOW, chain("gw-a", Rows().canary(1500, allowed=False)))
    assert look.verdict is Verdict.BAD
    assert look.reason.startswith("violation_rate: ")
    assert examination.certificate(FIRST).verdict is Verdict.BAD


def test_a_look_without_entries_says_what_was_known() -> None:
    examination = Examination(CANARY)
    before = examination.look(NOW, chain("gw-a", Rows().canary(500)))
    after = examination.look(NOW + 1, [])
    assert after.spans == ()
    assert after.metrics == before.metrics


def test_an_examination_goes_on_from_json() -> None:
    step = Step.judged(paired=False)
    examination = Examination(CANARY)
    for at, entries in enumerate(step.looks):
        kept = json.loads(json.dumps(examination.to_json()))
        examination = Examination.from_json(kept)
        examination.look(NOW + 60 * at, entries)
    assert examination.certificate(FIRST) == step.certificate


def test_margins_as_the_settings_state_them() -> None:
    margins = margins_of(STATED, 0.05, 5, grouped=True)
    assert (margins.alpha, margins.grouped) == (0.01, True)
    latency, width, violations, _ = margins.metrics
    assert isinstance(latency, Quantile)
    assert isinstance(width, Quantile)
    assert isinstance(violations, Rate)
    assert (latency.p, latency.margin, width.p, violations.margin) == (0.99, 0.5, 0.5, 0.05)
    assert np.isclose(margins.bad_alpha, 0.0025)


@pytest.mark.parametrize(
    "stated", [Stated("p99_ms", absolute=3.0), Stated("error_rate", relative=0.1), Stated("mood")]
)
def test_a_margin_that_has_no_test_is_refused(stated: Stated) -> None:
    with pytest.raises(ValueError, match="There is no test for the margin of"):
        margins_of([stated], 0.05, 1, grouped=False)


def test_a_fallback_of_a_family_with_state_has_the_key_that_its_rollout_went_by() -> None:
    """Its id is its own, so that no feedback finds a state by it; see the gateway's pipeline."""
    plan = CANARY.model_copy(update={"stateful": ("bandit",)})
    rows = Rows()
    before, after, other = (
        rows.row(CANDIDATE, "default", family="bandit"),
        rows.row(CANDIDATE, "default", family="bandit", rollout_key="0a1b2c3d"),
        rows.row(CANDIDATE, "checkout", rollout_key="0a1b2c3d"),
    )
    keys = [each.key for each in read(plan, before, after, other)]
    assert keys == [before.decision_id[-8:], "0a1b2c3d", "checkout"]


@pytest.mark.parametrize("paired", [False, True])
def test_a_good_verdict_says_of_which_families_together_it_is(paired: bool) -> None:
    plan = plan_of(paired=paired).model_copy(update={"names_families": True})
    rows, decisions = Rows(), list[Decision]()
    for decision in rows.shadow(1500) if paired else rows.canary(3000):
        row = orjson.loads(decision.row)
        rare = int(row["entity"][1:]) % 10 == 0
        row["family"] = "forecast" if rare else "tail"
        decisions.append(decision._replace(row=orjson.dumps(row)))
    examination = Examination(plan)
    examination.look(NOW, chain("gw-a", decisions[:1000]))
    kept = Examination.from_json(json.loads(json.dumps(examination.to_json())))
    look = kept.look(NOW + 60, chain("gw-b", decisions[1000:]))
    assert look.verdict is Verdict.GOOD
    together = "of all requests together, and not of each family's: tail (90.0%), forecast (10.0%)"
    assert look.reason.endswith(together)
