"""The searcher, driven as Tune's controller drives it."""

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from ray import tune

from models.errors import ArtifactError, SpaceError, StudyError
from tuning.search_space import space_of
from tuning.searcher import BayesSearch

SPACE = {
    "rate": tune.loguniform(1e-4, 1e-1),
    "tree": {"depth": tune.randint(2, 9), "kind": tune.choice(["a", "b"])},
    "fixed": 7,
}


def search(**settings: Any) -> BayesSearch:
    return BayesSearch(SPACE, metric="loss", mode="min", **settings)


def loss(config: dict[str, Any]) -> float:
    return float((config["rate"] - 0.01) ** 2 + abs(config["tree"]["depth"] - 5))


def run(searcher: BayesSearch, count: int, prefix: str = "t") -> list[dict[str, Any]]:
    configs = []
    for number in range(count):
        name = f"{prefix}{number}"
        config = searcher.suggest(name)
        assert config is not None  # nothing runs, so it waits
        searcher.on_trial_complete(name, {"loss": loss(config)})
        configs.append(config)
    return configs


def test_a_space_of_tune_is_converted_with_its_ends() -> None:
    assert space_of(SPACE).document() == {
        "rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "tree/depth": {"type": "int", "low": 2, "high": 8, "log": False},
        "tree/kind": {"type": "categorical", "choices": ["a", "b"]},
    }


@pytest.mark.parametrize("bad", [tune.grid_search([1, 2]), tune.randn(), tune.quniform(0, 1, 0.1)])
def test_what_cannot_be_searched_is_refused(bad: Any) -> None:
    with pytest.raises(SpaceError, match="x"):
        space_of({"x": bad})


def test_it_comes_close_in_a_few_trials() -> None:
    assert min(map(loss, run(search(), 15))) < 0.01


def test_the_same_seed_searches_the_same() -> None:
    assert run(search(seed=3), 8) == run(search(seed=3), 8)


def test_while_a_trial_runs_it_does_not_wait_for_a_fit() -> None:
    searcher, fitted = search(), threading.Event()
    run(searcher, 6)
    searcher._next._thread.submit(fitted.wait)  # no fit that is begun from now on ends before
    assert searcher.suggest("running") is not None
    assert searcher.suggest("next") is None
    fitted.set()


def test_no_more_run_at_once_than_allowed() -> None:
    searcher = search(max_concurrent=1)
    assert searcher.suggest("a") is not None
    assert searcher._next._coming is not None
    searcher._next._coming.result()  # a suggestion is ready, and still it is not given
    assert searcher.suggest("b") is None


@pytest.mark.parametrize("result", [None, {}, {"loss": float("nan")}])
def test_a_trial_without_a_number_has_failed(result: Any) -> None:
    searcher = search()
    searcher.suggest("a")
    searcher.on_trial_complete("a", result)
    assert searcher.study.trial(0).state == "failed"


def test_saved_and_restored_it_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    first = search()
    run(first, 7)
    config = first.suggest("running")
    first.save(str(tmp_path / "search.json"))
    second = BayesSearch()
    second.restore(str(tmp_path / "search.json"))
    assert config is not None
    for each in (first, second):
        each.on_trial_complete("running", {"loss": loss(config)})
    assert first.study == second.study
    assert len(run(second, 2, "more")) == 2


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match="does not contain a search"):
        search().restore(str(tmp_path / "bad"))


def test_it_can_be_pickled_as_the_tuner_does() -> None:
    searcher = search()
    run(searcher, 2)
    assert pickle.loads(pickle.dumps(searcher)).study == searcher.study  # noqa: S301


def test_the_tuner_may_name_metric_mode_and_space() -> None:
    searcher = BayesSearch()
    with pytest.raises(StudyError, match="Tuner"):
        searcher.suggest("a")
    assert searcher.set_search_properties("loss", "max", SPACE)
    assert searcher.study.design.goals == ("maximise",)
    assert not searcher.set_search_properties("other", "min", SPACE)


def test_points_run_elsewhere_count() -> None:
    searcher = search()
    searcher.add_evaluated_point({"rate": 0.01, "tree": {"depth": 3, "kind": "a"}}, 1.0)
    assert searcher.study.trial(0).values == (1.0,)
