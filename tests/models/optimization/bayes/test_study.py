"""Studies: events replayed give the same study, and bad ones change nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from models.errors import ArtifactError, SpaceError, StudyError, TrialError
from models.optimization.bayes import snapshot
from models.optimization.bayes.converged import best, converged, pareto
from models.optimization.bayes.space import Space
from models.optimization.bayes.study import MOST_TRIALS, Design, Study

SPACE = Space.parse(
    {
        "x": {"type": "float", "low": 0, "high": 1},
        "kind": {"type": "categorical", "choices": ["a", "b"]},
    }
)
HERE = {"x": 0.1 + 0.2, "kind": "b"}


def study(**settings: Any) -> Study:
    return Study.start(Design(SPACE, **settings))


def events(one: Study) -> Study:
    one.add({"x": 1 / 3, "kind": "a"}, [0.1], [-1.0])
    one.ask(HERE, gain=0.123456789)
    one.ask(HERE)
    one.tell(1, [1e-17], [0.5])
    one.ask({"x": 0.0, "kind": "a"})
    one.tell(2, failed=True)
    return one


def test_the_same_events_give_the_same_bytes() -> None:
    settings = {"constraints": ("memory",), "seed": 5}
    first, second = events(study(**settings)), events(study(**settings))
    assert snapshot.encode(first) == snapshot.encode(second)


def test_bytes_come_back_to_the_bit() -> None:
    one = events(study(constraints=("memory",), candidates=(HERE,)))
    data = snapshot.encode(one)
    back = snapshot.decode(data)
    assert back == one
    assert snapshot.encode(back) == data


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-1], lambda d: d[:0], lambda d: d[:9] + b"!" + d[10:]]
)
def test_damaged_bytes_are_refused(harm: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ArtifactError):
        snapshot.decode(harm(snapshot.encode(study())))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"goals": ()}, "goals"),
        ({"goals": ("smallest",)}, "goals"),
        ({"constraints": ("a", "a")}, "constraints"),
        ({"starts": 1}, "starts"),
        ({"seed": -1}, "seed"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"candidates": ({"x": 7, "kind": "a"},)}, "candidate 0"),
    ],
)
def test_a_design_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        study(**settings)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (lambda s: s.tell(7, [1.0]), "no trial 7"),
        (lambda s: s.tell(-1, [1.0]), "no trial -1"),
        (lambda s: s.tell(True, [1.0]), "no trial True"),
        (lambda s: s.tell(0, [float("nan")]), "finite"),
        (lambda s: s.tell(0, [float("inf")]), "finite"),
        (lambda s: s.tell(0, ["1"]), "finite"),
        (lambda s: s.tell(0, []), "0 values"),
        (lambda s: s.tell(0, [1.0, 2.0]), "2 values"),
        (lambda s: s.tell(0, [1.0], [1.0]), "1 constraints"),
        (lambda s: s.tell(0, [1.0], failed=True), "no values"),
        (lambda s: s.add(HERE, [float("nan")]), "finite"),
        (lambda s: s.add({"x": 2, "kind": "a"}, [1.0]), "'x'"),
        (lambda s: s.ask({"x": 0.5}), "kind"),
    ],
)
def test_a_refused_event_changes_nothing(event: Callable[[Study], Any], message: str) -> None:
    one = study()
    one.ask(HERE)
    before = snapshot.encode(one)
    with pytest.raises((TrialError, SpaceError), match=message):
        event(one)
    assert snapshot.encode(one) == before


def test_a_trial_is_told_once() -> None:
    one = study()
    one.ask(HERE)
    one.tell(0, [1.0])
    with pytest.raises(TrialError, match="already has an outcome"):
        one.tell(0, [1.0])
    with pytest.raises(TrialError, match="already has an outcome"):
        one.tell(0, failed=True)


def test_a_study_ends_at_ten_thousand_trials() -> None:
    one = study()
    one.trials = [replace(one.ask(HERE), number=number) for number in range(MOST_TRIALS)]
    with pytest.raises(TrialError, match="10000"):
        one.ask(HERE)


@pytest.mark.parametrize(("goal", "winner"), [("minimise", 1), ("maximise", 0)])
def test_the_best_is_feasible_and_the_goals_way(goal: Any, winner: int) -> None:
    one = study(goals=(goal,), constraints=("memory",))
    assert best(one) is None
    for value, memory in ((3.0, -1.0), (2.0, 0.0), (9.0, 0.1), (-9.0, 0.1)):
        one.add(HERE, [value], [memory])
    found = best(one)
    assert found is not None
    assert found.number == winner


def test_goals_in_conflict_have_a_front() -> None:
    one = study(goals=("minimise", "maximise"))
    for values in ([1.0, 1.0], [2.0, 2.0], [2.0, 1.5], [0.5, 0.0]):
        one.add(HERE, values)
    assert [trial.number for trial in pareto(one)] == [0, 1, 3]


def test_three_hopeless_suggestions_in_a_row_end_it() -> None:
    one = study(tolerance=1e-3)
    for gain in (None, 1e-4, 1e-4):
        one.ask(HERE, gain)
    assert not converged(one)
    one.ask(HERE, 1e-4)
    assert converged(one)
    one.ask(HERE, 0.1)
    assert not converged(one)
