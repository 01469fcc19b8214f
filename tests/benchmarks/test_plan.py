from pathlib import Path

import pytest

from benchmarks.speed.plan import NAMES, read_plan
from benchmarks.speed.run import notes


def test_the_defaults_are_the_whole_bench() -> None:
    plan = read_plan([])
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


def test_a_comparison_with_a_handicap_is_noted() -> None:
    assert len(notes(read_plan([]))) == 2
    fair = ["--start-ballast", "--model", "artifact"]
    assert read_plan(fair).model == Path("artifact")
    assert notes(read_plan(fair)) == []
    assert notes(read_plan(["--peers", "plain"])) == []
