from pathlib import Path

import pytest

from benchmarks.speed.booster import predict
from benchmarks.speed.plan import NAMES, read_plan
from benchmarks.speed.run import booster_of, notes
from benchmarks.speed.servers import ServerError


def test_the_defaults_are_the_whole_bench() -> None:
    plan = read_plan(["--start-ballast"])
    assert (plan.clients, plan.peers) == ((1, 16, 64, 256), NAMES)
    assert plan.expected_seconds(trials=14) < 10 * 60


def test_quick_is_one_short_round() -> None:
    plan = read_plan(["--quick", "--peers", "plain"])
    assert (plan.clients, plan.rounds, plan.peers) == ((1, 64), 1, ("plain",))


def test_a_variant_can_be_fixed() -> None:
    plan = read_plan(["--variant", "litserve=2 workers", "--variant", "plain=1 worker"])
    assert plan.variants == {"litserve": "2 workers", "plain": "1 worker"}


def test_an_unknown_peer_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_plan(["--peers", "plain,torchserve"])
    assert "torchserve" in capsys.readouterr().err


def test_a_comparison_with_a_handicap_is_noted(tmp_path: Path) -> None:
    other = tmp_path / "other.ubj"
    pair = ["--peers", "ballast,plain"]
    assert len(notes(read_plan(pair), other)) == 2
    assert len(notes(read_plan([*pair, "--start-ballast"]), other)) == 1
    assert notes(read_plan(["--peers", "plain"]), other) == []


def test_a_peer_whose_requirements_were_overridden_is_noted(tmp_path: Path) -> None:
    (note,) = notes(read_plan(["--peers", "bentoml,litserve"]), tmp_path / "other.ubj")
    assert "peers/bentoml/overrides.txt" in note


def test_a_given_model_is_the_one_booster_in_its_folder(tmp_path: Path) -> None:
    plan = read_plan(["--model", str(tmp_path)])
    with pytest.raises(ServerError, match="holds 0"):
        booster_of(plan)
    (tmp_path / "booster.ubj").touch()
    assert booster_of(plan) == tmp_path / "booster.ubj"


def test_without_any_model_the_bench_trains_one_that_answers_five_ordered_quantiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "none"))
    plan = read_plan(["--home", str(tmp_path / "bench"), "--peers", "plain"])
    path = booster_of(plan)
    quiet, busy = (predict(path, [load, 0.3, 0.002, 1.0]) for load in (0.2, 0.95))
    assert len(quiet) == 5
    assert quiet[0] < quiet[1] < quiet[2]
    assert busy[1] > quiet[1], "load lengthens latency"
    assert booster_of(plan) == path


def test_both_profiles_are_measured_where_the_bench_starts_ballast() -> None:
    assert "ballast-plain" in read_plan(["--start-ballast"]).peers
    assert "ballast-plain" not in read_plan([]).peers
    with pytest.raises(SystemExit):
        read_plan(["--peers", "ballast-plain"])
