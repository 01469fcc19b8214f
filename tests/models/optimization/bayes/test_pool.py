"""Several good ones of a list: each once, whatever happens to the trials."""

import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from models.errors import TrialError
from models.optimization.bayes.forest import Forest
from models.optimization.bayes.mixture import mixture
from models.optimization.bayes.pool import Panel, rough
from models.optimization.bayes.space import Parameters, Space
from models.optimization.bayes.study import Design, Study
from models.optimization.bayes.suggest import suggest

SQUARE = Space.parse({name: {"type": "float", "low": 0, "high": 1} for name in ("x", "y")})
LIST: tuple[Parameters, ...] = tuple(
    {"x": x / 9, "y": y / 9} for x, y in product(range(10), repeat=2)
)
NONE = np.zeros((0, 2))


def bowl(at: Parameters) -> float:
    return (float(at["x"]) - 0.3) ** 2 + (float(at["y"]) - 0.7) ** 2


def started(count: int = 8) -> Study:
    study = Study.start(Design(SQUARE, sought=10, candidates=LIST))
    for number in np.random.default_rng(4).choice(len(LIST), count, replace=False).tolist():
        study.add(LIST[number], [bowl(LIST[number])])
    return study


def places(asked: list[Parameters]) -> set[tuple[object, object]]:
    return {(at["x"], at["y"]) for at in asked}


def test_most_of_the_best_are_found_long_before_the_list_ends() -> None:
    study = started()
    for _ in range(22):
        trial = study.ask(suggest(study, 0).parameters)
        study.tell(trial.number, [bowl(trial.parameters)])
    best = places(sorted(LIST, key=bowl)[:10])
    assert len(best & places([trial.parameters for trial in study.trials])) >= 9


def test_the_same_study_seed_and_hints_give_the_same() -> None:
    study = started()
    first = suggest(study, 1)
    assert suggest(study, 1) == first
    assert suggest(study, 1, first.hints) == suggest(study, 1, first.hints)


def test_several_asks_at_once_differ_and_spread() -> None:
    study = started(20)
    asked = [study.ask(suggest(study, 0).parameters).parameters for _ in range(6)]
    tried = places([trial.parameters for trial in study.trials[:20]])
    assert len(places(asked)) == 6
    assert not places(asked) & tried


def test_the_last_candidate_is_asked_for_and_then_none() -> None:
    study = started(len(LIST) - 1)
    last = study.ask(suggest(study, 0).parameters)
    assert len(places([trial.parameters for trial in study.trials])) == len(LIST)
    study.tell(last.number, [bowl(last.parameters)])
    with pytest.raises(TrialError, match="100 candidates"):
        suggest(study, 0)


def test_failures_are_kept_away_from() -> None:
    study = started()
    for _ in range(15):
        trial = study.ask(suggest(study, 0).parameters)
        failed = float(trial.parameters["x"]) < 0.5
        study.tell(trial.number, () if failed else [bowl(trial.parameters)], failed=failed)
    assert [trial.state for trial in study.trials[-6:]].count("failed") <= 2


def test_a_constraint_is_respected_where_outcomes_are_rough() -> None:
    noise = np.random.default_rng(0)
    design = Design(SQUARE, constraints=("x at least .5",), sought=10, candidates=LIST)
    study = Study.start(design)
    for _ in range(25):
        trial = study.ask(suggest(study, 0).parameters)
        study.tell(trial.number, [noise.normal()], [0.5 - float(trial.parameters["x"])])
    assert sum(trial.feasible for trial in study.trials[-10:]) >= 8


def test_without_anything_feasible_feasibility_is_sought() -> None:
    study = Study.start(Design(SQUARE, constraints=("x over .9",), sought=10, candidates=LIST))
    for at in [each for each in LIST if float(each["x"]) < 0.4][::4]:
        study.add(at, [1.0], [0.9 - float(at["x"])])
    assert float(suggest(study, 0).parameters["x"]) > 0.6


def test_equal_outcomes_are_no_obstacle() -> None:
    study = Study.start(Design(SQUARE, sought=10, candidates=LIST))
    for _ in range(12):
        study.tell(study.ask(suggest(study, 0).parameters).number, [1.0])
    assert len(places([trial.parameters for trial in study.trials])) == 12


def test_a_forest_expects_what_it_saw_and_is_less_sure_elsewhere() -> None:
    rows = np.random.default_rng(0).random((60, 2))
    outcomes = np.where(rows[:, 0] > 0.5, 1.0, -1.0)
    forest = Forest.grow(rows, outcomes, np.random.default_rng(1))
    mean, deviation = forest.at(np.array([[0.1, 0.5], [0.9, 0.5], [0.5, 0.5]]))
    assert mean[:2] == pytest.approx([-1, 1], abs=0.1)
    assert deviation[2] > deviation[:2].max()


def test_noise_is_rough_and_a_bowl_is_not() -> None:
    rows, noise = np.random.default_rng(0).random((30, 2)), np.random.default_rng(1).normal(size=30)
    smooth = ((rows - 0.3) ** 2).sum(axis=1)
    for outcomes, wanted in ((smooth, False), (noise, True), (np.zeros(30), True)):
        members, _ = mixture(rows, outcomes, np.ones(30, bool), {}, 10)
        assert rough(members) is wanted


def test_rough_outcomes_are_asked_for_once_each_and_spread_too() -> None:
    noise = np.random.default_rng(0)
    study = Study.start(Design(SQUARE, sought=10, candidates=LIST))
    for number in range(0, 60, 3):
        study.add(LIST[number], [noise.normal()])
    first = suggest(study, 0)
    assert suggest(study, 0) == first
    asked = [study.ask(suggest(study, 0).parameters).parameters for _ in range(5)]
    assert len(places([trial.parameters for trial in study.trials])) == 25
    study.tell(20, failed=True)
    study.tell(21, [noise.normal()])
    assert not places([suggest(study, 0).parameters]) & places(asked)


def test_trials_on_their_way_make_it_surer_there() -> None:
    study = started(20)
    rows = np.array([SQUARE.row(trial.parameters) for trial in study.trials])
    outcomes = np.array([trial.values[0] for trial in study.trials])
    members, _ = mixture(rows, outcomes, np.ones(20, bool), {}, 10)
    waiting = np.array([[1.0, 0.0]])
    before = Panel.fit(members, NONE, np.random.default_rng(0)).at(waiting)[1]
    after = Panel.fit(members, waiting, np.random.default_rng(0)).at(waiting)[1]
    assert after[0] < before[0]


def test_importing_suggestions_needs_no_scikit_learn() -> None:
    code = (
        "import sys\n"
        "from models.optimization.bayes.suggest import suggest\n"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
