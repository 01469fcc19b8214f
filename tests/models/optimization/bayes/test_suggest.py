"""Suggestions: a pure function of the study, near what is best, away from what is not allowed."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from models.errors import TrialError
from models.optimization.bayes import snapshot
from models.optimization.bayes.converged import best
from models.optimization.bayes.space import Parameters, Space
from models.optimization.bayes.study import Design, Study
from models.optimization.bayes.suggest import Suggestion, suggest
from models.optimization.bayes.training import MOST_ROWS, training

Evaluate = Callable[[Mapping[str, Any]], float]
SQUARE = Space.parse({name: {"type": "float", "low": 0, "high": 1} for name in ("x", "y")})
MIXED = Space.parse(
    {
        "x": {"type": "float", "low": -1, "high": 1},
        "n": {"type": "int", "low": 1, "high": 64, "log": True},
        "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
    }
)


def bowl(at: Mapping[str, Any]) -> float:
    return float((at["x"] - 0.3) ** 2 + (at["y"] - 0.7) ** 2)


def mixed(at: Mapping[str, Any]) -> float:
    off = {"a": 1.0, "b": 0.0, "c": 2.0}[at["kind"]]
    return float(at["x"] ** 2 + (np.log2(at["n"]) - 3) ** 2 + off)


def played(study: Study, evaluate: Evaluate, count: int) -> Study:
    hints: Any = None
    for _ in range(count):
        suggestion = suggest(study, 0, hints)
        hints = suggestion.hints
        trial = study.ask(suggestion.parameters, suggestion.gain)
        study.tell(trial.number, [evaluate(suggestion.parameters)])
    return study


def started(count: int = 8, **settings: Any) -> Study:
    """Give a study with a history spread at random."""
    study = Study.start(Design(SQUARE, **settings))
    for x, y in np.random.default_rng(4).random((count, 2)).tolist():
        study.add({"x": x, "y": y}, [bowl({"x": x, "y": y})])
    return study


def test_the_first_trial_is_the_middle_and_the_next_fill_the_space() -> None:
    study = Study.start(Design(SQUARE))
    asked = [study.ask(suggest(study, 0).parameters).parameters for _ in range(32)]
    assert asked[0] == {"x": 0.5, "y": 0.5}
    quarters = {(float(at["x"]) > 0.5, float(at["y"]) > 0.5) for at in asked[1:5]}
    assert len(quarters) == 4


def test_suggesting_changes_nothing_and_is_the_same_each_time() -> None:
    study = started()
    before = snapshot.encode(study)
    first = suggest(study, 1)
    assert snapshot.encode(study) == before
    assert suggest(snapshot.decode(before), 1) == first
    assert suggest(study, 2).parameters != first.parameters


def test_a_bowl_is_found_to_the_third_digit() -> None:
    found = best(played(Study.start(Design(SQUARE)), bowl, 18))
    assert found is not None
    assert found.values[0] < 1e-4


def test_the_greatest_is_found_as_the_least_is() -> None:
    study = Study.start(Design(SQUARE, ("maximise",)))
    found = best(played(study, lambda at: -bowl(at), 18))
    assert found is not None
    assert found.values[0] > -1e-4


def test_integers_and_choices_are_found() -> None:
    found = best(played(Study.start(Design(MIXED)), mixed, 28))
    assert found is not None
    assert (found.parameters["n"], found.parameters["kind"]) == (8, "b")


def test_trials_on_their_way_are_not_suggested_again() -> None:
    study = started()
    asked = [study.ask(suggest(study, 0).parameters).parameters for _ in range(4)]
    places = np.array([[at["x"], at["y"]] for at in asked], dtype=float)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)[np.triu_indices(4, 1)]
    assert apart.min() > 1e-3


def test_a_constraint_is_respected() -> None:
    study = Study.start(Design(SQUARE, constraints=("x at least .6",)))
    for _ in range(20):
        suggestion = suggest(study, 0)
        trial = study.ask(suggestion.parameters)
        study.tell(trial.number, [bowl(trial.parameters)], [0.6 - float(trial.parameters["x"])])
    found = best(study)
    assert found is not None
    assert found.parameters["x"] == pytest.approx(0.6, abs=0.02)
    assert found.parameters["y"] == pytest.approx(0.7, abs=0.05)


def test_without_anything_feasible_feasibility_is_sought() -> None:
    study = Study.start(Design(SQUARE, constraints=("x over .9",)))
    for x, y in np.random.default_rng(4).uniform(0, 0.5, (6, 2)).tolist():
        study.add({"x": x, "y": y}, [1.0], [0.9 - x])
    suggestion = suggest(study, 0)
    assert suggestion.parameters["x"] > 0.8  # type: ignore[operator]
    assert suggestion.expected_improvement is None


def test_failures_are_kept_away_from() -> None:
    study = started()
    for _ in range(10):
        trial = study.ask(suggest(study, 0).parameters)
        failed = float(trial.parameters["x"]) < 0.5
        study.tell(trial.number, () if failed else [bowl(trial.parameters)], failed=failed)
    last = [trial.state for trial in study.trials[-5:]]
    assert last.count("failed") <= 2


def test_when_all_have_failed_it_goes_on_filling_the_space() -> None:
    study = Study.start(Design(SQUARE))
    for _ in range(8):
        study.tell(study.ask(suggest(study, 0).parameters).number, failed=True)
    assert suggest(study, 0).source == "start"


def test_noise_is_not_taken_for_a_discovery() -> None:
    noise = np.random.default_rng(0)
    study = played(Study.start(Design(SQUARE)), lambda at: bowl(at) + noise.normal(scale=0.05), 30)
    late = np.array([[t.parameters["x"], t.parameters["y"]] for t in study.trials[-8:]], float)
    assert np.median(np.abs(late - [0.3, 0.7])) < 0.15


def test_equal_outcomes_are_no_obstacle() -> None:
    study = played(Study.start(Design(SQUARE)), lambda _: 1.0, 8)
    assert len(study.completed()) == 8


def test_ten_thousand_trials_are_answered_in_bounded_time() -> None:
    study = Study.start(Design(SQUARE))
    for x, y in np.random.default_rng(4).random((9_999, 2)).tolist():
        study.add({"x": x, "y": y}, [bowl({"x": x, "y": y})])
    known = training(study)
    assert known is not None
    assert len(known.rows) == MOST_ROWS
    assert known.outcomes.min() == min(trial.values[0] for trial in study.trials)
    begun = time.process_time()
    assert suggest(study, 0).source == "model"
    assert time.process_time() - begun < 20


def test_a_list_of_candidates_is_chosen_from_once_each() -> None:
    candidates: tuple[Parameters, ...] = tuple(
        {"x": x / 4, "y": y / 4} for x in range(5) for y in range(5)
    )
    study = played(Study.start(Design(SQUARE, candidates=candidates)), bowl, 25)
    asked = [tuple(trial.parameters.values()) for trial in study.trials]
    assert len(set(asked)) == 25
    assert (0.25, 0.75) in asked[:15]
    with pytest.raises(TrialError, match="25 candidates"):
        suggest(study, 0)


@pytest.mark.filterwarnings("ignore")  # PyTorch's and GPyTorch's own deprecations, at import
@pytest.mark.timeout(600)  # it imports PyTorch and fits ten models
def test_two_goals_are_traded_off() -> None:
    study = Study.start(Design(SQUARE, ("minimise", "minimise")))

    def outcomes(at: Mapping[str, Any]) -> list[float]:
        return [at["x"] ** 2 + at["y"] ** 2, (at["x"] - 1) ** 2 + at["y"] ** 2]

    suggestion: Suggestion | None = None
    for _ in range(9):
        suggestion = suggest(study, 0, suggestion.hints if suggestion else None)
        study.tell(study.ask(suggestion.parameters).number, outcomes(suggestion.parameters))
    late = [trial.parameters["y"] for trial in study.trials[-3:]]
    assert max(late) < 0.4  # type: ignore[operator]
    assert suggest(study, 0) == suggest(study, 0)
    logei = sys.modules["botorch.acquisition.multi_objective.logei"]
    assert logei._C is None, "no client waits for a compiler of C++"


def test_one_goal_needs_no_pytorch() -> None:
    code = (
        "import sys\n"
        "from models.optimization.bayes.suggest import suggest\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
