"""What a rollout is judged by means something; by less than usual it is where an admin says so."""

from typing import Any

import pytest

from config_store.certificates.plan import ABSOLUTE, RELATIVE, margins_of
from config_store.errors import NotPermittedError, RefusedChangeError
from config_store.steering.commands import Deploy, SetSettings
from config_store.steering.rollouts.margins import BOUNDS, refuse_senseless
from config_store.steering.settings import MARGINS, Margin, RolloutSettings, SteeringSettings
from config_store.steering.state import Strategy
from config_store.steering.status import describe
from models.evidence.margins import Design
from models.evidence.trial import Trial
from tests.config_store.steering.people import (
    ADA,
    BO,
    CY,
    NOW,
    carried,
    changed,
    drafted,
    first,
    to_the_end,
)

USUAL = RolloutSettings()
CANARY = Deploy(2, Strategy.CANARY, "c", 1, shares=(0.5, 1.0))


def with_margin(metric: str, value: float) -> RolloutSettings:
    """Give the usual settings with another margin for a metric."""
    kind, other = ("relative", "absolute") if metric in RELATIVE else ("absolute", "relative")
    stated = Margin.model_validate({"metric": metric, kind: value, other: None})
    margins = tuple(stated if each.metric == metric else each for each in MARGINS)
    return USUAL.model_copy(update={"margins": margins})


def asked(settings: RolloutSettings, strategy: Strategy = Strategy.CANARY) -> Deploy:
    shares = (0.5, 1.0) if strategy is Strategy.CANARY else None
    return Deploy(2, strategy, "c", 1, shares=shares, settings=settings)


WEAKER: list[tuple[RolloutSettings, str]] = [
    (with_margin("p99_ms", 0.5), "p99_ms may be worse by 50 % in place of 10 %"),
    (with_margin("error_rate", 0.05), "error_rate may be worse by 5 points in place of 0.5 points"),
    (USUAL.model_copy(update={"margins": MARGINS[1:]}), "p99_ms is not judged"),
    (USUAL.model_copy(update={"alpha": 0.1}), "alpha is 0.1 in place of 0.01"),
    (USUAL.model_copy(update={"evidence": False}), "steps end without evidence"),
]


@pytest.mark.parametrize(("settings", "said"), WEAKER)
@pytest.mark.parametrize("strategy", [Strategy.CANARY, Strategy.SHADOW])
def test_weaker_evidence_takes_an_admin_and_is_said_everywhere(
    settings: RolloutSettings, said: str, strategy: Strategy
) -> None:
    state, command = drafted(first(), 2), asked(settings, strategy)
    for who in (ADA, BO):
        with pytest.raises(NotPermittedError, match="needs the role admin") as refused:
            changed(state, command, by=who)
        assert said in str(refused.value)
    found = carried(state, [command], CY)
    rollout = found.state.rollout
    assert rollout is not None
    assert rollout.weakened == (said,)
    (begun,) = [each for each in found.events if each.kind == "rollout_begun"]
    assert begun.details["weakened"] == said
    told = f"is judged by less than usual, as cy stated: {said}."
    assert told in " ".join(describe(found.state, NOW))


def test_who_came_into_force_so_is_said_until_another_does() -> None:
    settings, said = WEAKER[0]
    state = to_the_end(changed(drafted(first(), 2), asked(settings), by=CY))
    told = f"Version 2 came into force by less evidence than usual, as cy stated: {said}."
    assert told in describe(state, NOW)
    later = changed(drafted(state, 3), Deploy(3, Strategy.BLUE_GREEN, "d", 2))
    assert "less evidence" not in " ".join(describe(later, NOW))
    as_usual = to_the_end(changed(drafted(first(), 2), CANARY))
    assert "less" not in " ".join(describe(as_usual, NOW))


@pytest.mark.parametrize(
    "settings",
    [
        with_margin("p99_ms", 0.05),
        with_margin("interval_width", 0.25),
        USUAL.model_copy(update={"alpha": 0.001}),
        USUAL.model_copy(update={"step_seconds": 60.0, "lead_seconds": 0.0}),
        RolloutSettings(margins=tuple(reversed(MARGINS))),
    ],
)
def test_an_operator_may_ask_for_as_much_and_for_more(settings: RolloutSettings) -> None:
    rollout = changed(drafted(first(), 2), asked(settings)).rollout
    assert rollout is not None
    assert (rollout.weakened, rollout.settings) == ((), settings)


@pytest.mark.parametrize("strategy", [Strategy.BLUE_GREEN, Strategy.ROLLING])
def test_what_is_not_judged_cannot_be_judged_by_less(strategy: Strategy) -> None:
    command = asked(WEAKER[0][0], strategy)
    assert changed(drafted(first(), 2), command).versions[2].stage in {"active", "deploying"}


def test_what_an_admin_made_usual_is_not_weaker() -> None:
    settings, _ = WEAKER[0]
    state = changed(first(), SetSettings(SteeringSettings(rollout=settings)), by=CY)
    for command in (CANARY, asked(settings)):
        rollout = changed(drafted(state, 2), command).rollout
        assert rollout is not None
        assert (rollout.settings, rollout.weakened) == (settings, ())


SENSELESS: list[tuple[dict[str, Any], str]] = [
    ({"margins": []}, "nothing would be judged"),
    ({"margins": [{"metric": "p99_ms", "relative": 5, "absolute": None}]}, "between 0.01 and 1"),
    ({"margins": [{"metric": "p99_ms", "relative": 1e-6, "absolute": None}]}, "between 0.01 and"),
    ({"margins": [{"metric": "interval_width", "relative": 0.02, "absolute": None}]}, "0.021 and"),
    ({"margins": [{"metric": "error_rate", "relative": None, "absolute": 0.4}]}, "and 0.05"),
    ({"margins": [{"metric": "error_rate", "relative": 0.1, "absolute": None}]}, "be absolute"),
    ({"margins": [{"metric": "p99_ms", "relative": None, "absolute": 5}]}, "has to be relative"),
    ({"margins": [{"metric": "joy", "relative": 0.1, "absolute": None}]}, "no test for 'joy'"),
    ({"margins": [each.model_dump() for each in (*MARGINS, MARGINS[0])]}, "two margins"),
    ({"alpha": 0.4}, "alpha is 0.4"),
    ({"alpha": 1e-9}, "alpha is 1e-09"),
]


@pytest.mark.parametrize(("stated", "why"), SENSELESS)
def test_what_no_verdict_could_mean_anything_by_is_refused_to_everybody(
    stated: dict[str, Any], why: str
) -> None:
    settings = RolloutSettings.model_validate(stated)
    with pytest.raises(RefusedChangeError, match=why):
        changed(drafted(first(), 2), asked(settings), by=CY)
    with pytest.raises(RefusedChangeError, match=why):
        changed(first(), SetSettings(SteeringSettings(rollout=settings)), by=CY)


def test_the_bounds_are_those_of_what_is_tested_and_hold_what_is_usual() -> None:
    assert {name for name, each in BOUNDS.items() if each.relative} == set(RELATIVE)
    assert {name for name, each in BOUNDS.items() if not each.relative} == set(ABSOLUTE)
    refuse_senseless(USUAL)
    assert {each.metric for each in MARGINS} == BOUNDS.keys()


def test_other_settings_can_be_set_beside_margins_of_before_there_were_bounds() -> None:
    wide = USUAL.model_copy(update={"alpha": 0.4})
    state = first().model_copy(update={"settings": SteeringSettings(rollout=wide)})
    changed_settings = SteeringSettings(rollout=wide, approvals_needed=1)
    assert changed(state, SetSettings(changed_settings), by=CY).settings == changed_settings


@pytest.mark.parametrize("metric", BOUNDS)
def test_what_may_be_stated_can_be_tested(metric: str) -> None:
    bounds = BOUNDS[metric]
    for value in (bounds.least, bounds.most):
        stated = with_margin(metric, value)
        refuse_senseless(stated)
        Trial(margins_of(stated.margins, stated.alpha, 1, grouped=True), Design())
