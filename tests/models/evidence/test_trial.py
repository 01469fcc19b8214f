"""A whole trial: three verdicts, missing data, checks, batches and what is written down."""

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.evidence.margins import Design, Margins, Mean, Quantile, Rate
from models.evidence.trial import Pairs, Requests, Trial
from models.evidence.verdict import Verdict

METRICS = (
    Rate(name="errors", margin=0.05),
    Quantile(name="latency", p=0.9, margin=0.2, low=0.1, high=10_000.0),
    Mean(name="loss", margin=0.2, most_missing=1.0),
)
MARGINS = Margins(metrics=METRICS)
CANARY, SHADOW = Design(share=0.5), Design(paired=True)


def arm(rng: np.random.Generator, size: int, **worse: float) -> dict[str, Any]:
    return {
        "errors": (rng.random(size) < 0.02 + worse.get("errors", 0.0)).astype(float),
        "latency": np.exp(3 + 0.3 * rng.standard_normal(size)) * worse.get("latency", 1.0),
        "loss": np.clip(rng.normal(0.3, 0.1, size) + worse.get("loss", 0.0), 0, 1),
    }


def requests(seed: int, size: int, **worse: float) -> Requests:
    rng = np.random.default_rng(seed)
    candidate = np.arange(size) % 2 == 1
    one, other = arm(rng, size), arm(rng, size, **worse)
    values = {name: np.where(candidate, other[name], one[name]) for name in one}
    return Requests([f"{seed}-{at}" for at in range(size)], np.zeros(size, int), candidate, values)


def pairs(seed: int, size: int, **worse: float) -> Pairs:
    rng = np.random.default_rng(seed)
    names = [f"{seed}-{at}" for at in range(size)]
    return Pairs(names, np.zeros(size, int), arm(rng, size), arm(rng, size, **worse))


@pytest.mark.parametrize(
    ("worse", "verdict", "named"),
    [
        ({}, Verdict.GOOD, "every metric"),
        ({"errors": 0.2}, Verdict.BAD, "errors"),
        ({"latency": 1.6}, Verdict.BAD, "latency"),
        ({"loss": 0.4}, Verdict.BAD, "loss"),
    ],
)
@pytest.mark.parametrize("paired", [False, True])
def test_three_verdicts(
    worse: dict[str, float], verdict: Verdict, named: str, paired: bool
) -> None:
    trial = Trial(MARGINS, SHADOW if paired else CANARY)
    assert trial.look().verdict is Verdict.UNKNOWN
    trial.add(pairs(1, 3000, **worse) if paired else requests(1, 6000, **worse))
    seen = trial.look()
    assert (seen.verdict, named in seen.reason) == (verdict, True), seen.reason
    trial.add(pairs(2, 20) if paired else requests(2, 20))
    assert trial.look().verdict is verdict  # what was shown stays shown


def test_too_few_requests_are_unknown() -> None:
    trial = Trial(MARGINS, CANARY)
    trial.add(requests(1, 100))
    seen = trial.look()
    assert seen.verdict is Verdict.UNKNOWN
    assert "not enough evidence" in seen.reason


@pytest.mark.parametrize("missing", ["all", "some of one arm"])
def test_what_is_missing_is_unknown_and_not_nought(missing: str) -> None:
    seen = requests(1, 6000)
    values = dict(seen.values)
    if missing == "all":
        del values["errors"]
    else:
        values["errors"] = np.where(seen.candidate & (np.arange(6000) < 500), np.nan, 0.0)
    trial = Trial(MARGINS, CANARY)
    trial.add(Requests(seen.keys, seen.minutes, seen.candidate, values))
    look = trial.look()
    assert look.verdict is Verdict.UNKNOWN
    assert look.reason.startswith("errors: ")
    assert look.metrics["latency"].verdict is Verdict.GOOD
    if missing == "some of one arm":
        assert "8.33% of an arm's requests have no value" in look.reason


def test_outcomes_may_come_for_some_requests_only() -> None:
    seen = requests(1, 6000)
    loss = np.where(np.arange(6000) % 3 == 0, seen.values["loss"], np.nan)
    trial = Trial(MARGINS, CANARY)
    trial.add(Requests(seen.keys, seen.minutes, seen.candidate, {**seen.values, "loss": loss}))
    look = trial.look()
    assert look.verdict is Verdict.GOOD
    assert look.metrics["loss"].incumbent.missing == 2000


def test_a_key_of_both_arms_holds_a_good_verdict_back_but_no_bad_one() -> None:
    for worse, verdict in ({}, Verdict.UNKNOWN), ({"latency": 1.6}, Verdict.BAD):
        trial = Trial(MARGINS, CANARY)
        trial.add(requests(1, 6000, **worse))
        again = requests(1, 2)
        trial.add(Requests(again.keys[:1], again.minutes[:1], ~again.candidate[:1], {}))
        seen = trial.look()
        assert (seen.verdict, seen.seen_by_both) == (verdict, 1)


def test_a_few_keys_of_both_arms_hold_nothing_back() -> None:
    margins = MARGINS.model_copy(update={"most_by_both": 0.01})
    trial, asked = Trial(margins, CANARY), requests(1, 6000)
    trial.add(asked)
    for rows, verdict in ((slice(0, 40), Verdict.GOOD), (slice(40, 90), Verdict.UNKNOWN)):
        keys, minutes = asked.keys[rows], asked.minutes[rows]
        values = {name: column[rows] for name, column in asked.values.items()}
        trial.add(Requests(keys, minutes, ~asked.candidate[rows], values))
        assert trial.look().verdict is verdict
    assert trial.look().seen_by_both > 40


def test_lost_requests_of_one_arm_hold_a_good_verdict_back() -> None:
    margins = MARGINS.model_copy(update={"metrics": METRICS[1:]})
    trial = Trial(margins, Design(share=0.6))
    trial.add(requests(1, 6000))
    seen = trial.look()
    assert seen.verdict is Verdict.UNKNOWN
    assert "not as stated" in seen.reason


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("paired", [False, True])
def test_what_is_written_down_goes_on_as_before(paired: bool, grouped: bool) -> None:
    margins = MARGINS.model_copy(update={"grouped": grouped})
    trial = Trial(margins, SHADOW if paired else CANARY)
    draw = pairs if paired else requests
    for seed in range(3):
        trial.add(draw(seed, 500))
        kept = json.dumps(trial.to_json())
        trial.look()
        assert Trial.from_json(json.loads(kept)).look() == trial.look()
        trial = Trial.from_json(json.loads(json.dumps(trial.to_json())))


def test_the_batches_do_not_matter() -> None:
    whole, pieces = Trial(MARGINS, CANARY), Trial(MARGINS, CANARY)
    seen = requests(1, 900)
    whole.add(seen)
    for cut in (slice(0, 1), slice(1, 400), slice(400, 900)):
        values = {name: column[cut] for name, column in seen.values.items()}
        keys = seen.keys[cut]
        pieces.add(Requests(keys, seen.minutes[cut], seen.candidate[cut], values))
    one, other = whole.look(), pieces.look()
    for name, metric in one.metrics.items():
        assert other.metrics[name].evidence.good == pytest.approx(metric.evidence.good)
        assert other.metrics[name].incumbent.values == metric.incumbent.values


def test_a_group_is_one_observation() -> None:
    trial = Trial(MARGINS.model_copy(update={"grouped": True}), CANARY)
    one = requests(1, 2)
    often = Requests(
        list(one.keys) * 50,
        np.zeros(100, int),
        np.tile(one.candidate, 50),
        {name: np.tile(column, 50) for name, column in one.values.items()},
    )
    trial.add(often)
    alone = Trial(MARGINS, CANARY)
    alone.add(one)
    for name, metric in trial.look().metrics.items():
        assert metric.incumbent.values == 1.0
        assert metric.evidence == alone.look().metrics[name].evidence


def test_requests_are_not_taken_for_pairs() -> None:
    with pytest.raises(TypeError, match="paired trial takes no Requests"):
        Trial(MARGINS, SHADOW).add(requests(1, 2))


@pytest.mark.parametrize(
    "metric",
    [
        {"kind": "mean", "name": "loss", "margin": 0.1, "low": 1.0, "high": 1.0},
        {"kind": "mean", "name": "loss", "margin": 2.0},
        {"kind": "quantile", "name": "p99", "p": 0.99, "margin": 0.05, "low": 2.0, "high": 1.0},
    ],
)
def test_a_metric_without_room_is_refused(metric: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"no room|whole range"):
        Margins.model_validate({"metrics": [metric]})


def test_two_metrics_of_one_name_are_refused() -> None:
    with pytest.raises(ValidationError, match="two metrics have one name"):
        Margins(metrics=(METRICS[0], METRICS[0]))
