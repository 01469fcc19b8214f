from benchmarks.speed.contenders import PEERS
from benchmarks.speed.environments import locked_version
from benchmarks.speed.machine import busy_note, describe


def test_the_peers_are_the_releases_that_the_bench_names() -> None:
    found = {name: locked_version(name, PEERS) for name in ("litserve", "mlserver", "bentoml")}
    assert found == {"litserve": "0.2.19", "mlserver": "1.7.1", "bentoml": "1.4.40"}


def test_every_peer_serves_with_the_same_release_of_xgboost() -> None:
    ours = describe()["xgboost-cpu"]
    for peer in ("litserve", "mlserver", "bentoml"):
        lock = (PEERS / peer / "requirements.lock").read_text()
        assert f"xgboost-cpu=={ours} " in lock


def test_a_busy_machine_is_told_and_a_quiet_one_is_not() -> None:
    assert "load 8.9 on 2 cores" in busy_note(8.94, 2)[0]
    assert busy_note(0.4, 2) == []
