"""How far the start is and why it fails, as Serve's controller tells of it."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from launch import serving
from launch.cluster_session import SERVE_SILENT_AFTER_SECONDS
from launch.errors import DeployFailedError
from launch.placement import deployments_health

CONFIG = Path("/etc/other.yaml")


def deployment(*, runs: bool) -> dict[str, Any]:
    replica = {"state": "RUNNING" if runs else "STARTING", "node_id": "n"}
    return {"target_num_replicas": 1, "replicas": [replica]}


def status_of(status: str = "DEPLOYING", message: str = "", **runs: bool) -> dict[str, Any]:
    parts = {name: deployment(runs=each) for name, each in runs.items()}
    return {"applications": {"ours": {"status": status, "message": message, "deployments": parts}}}


def tell(monkeypatch: pytest.MonkeyPatch, *looks: dict[str, Any]) -> None:
    """Have Serve tell this at each look, the last for ever."""
    coming: Iterator[dict[str, Any]] = itertools.chain(looks, itertools.repeat(looks[-1]))
    monkeypatch.setattr(serving, "_details", lambda: next(coming))
    monkeypatch.setattr(serving, "_judged", lambda details: deployments_health(details, 2.0, 2.0))


def test_the_share_is_that_of_the_deployments_which_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = status_of(gateway=False, tail=False), status_of(gateway=False, tail=True)
    tell(monkeypatch, status_of(), a, b, status_of("RUNNING", gateway=True, tail=True))
    seen: list[tuple[float, str]] = []
    serving.await_begun(lambda *each: seen.append(each), CONFIG, "/logs")
    assert [share for share, _ in seen] == [0.0, 0.0, 0.5]
    assert seen[-1][1] == "starting gateway"


def test_a_failure_names_the_file_that_was_given_and_serves_own_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = "Deploying app 'ours' failed with exception:\nTraceback:\n  File x\nKeyError: 'home'"
    tell(monkeypatch, status_of(), status_of("DEPLOY_FAILED", message))
    with pytest.raises(DeployFailedError) as failure:
        serving.await_begun(lambda *_: None, CONFIG, "/logs")
    for part in (str(CONFIG), "KeyError: 'home'", "/logs"):
        assert part in str(failure.value)
    assert "serve_config.yaml" not in str(failure.value)


def test_a_failure_without_a_reason_says_what_was_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, status_of("DEPLOY_FAILED", tail=False))
    with pytest.raises(DeployFailedError, match="starting tail"):
        serving.await_begun(lambda *_: None, CONFIG, "/logs")


def test_the_cpus_are_asked_for_only_where_a_replica_may_wait_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def cpus(which: str) -> dict[str, float]:
        asked.append(which)
        return {"CPU": 2.0}

    monkeypatch.setattr(ray, "cluster_resources", lambda: cpus("all"))
    monkeypatch.setattr(ray, "available_resources", lambda: cpus("free"))
    monkeypatch.setattr(serving, "_details", lambda: status_of(tail=True))
    assert [each.running for each in serving.deployments()] == [1]
    assert asked == []
    monkeypatch.setattr(serving, "_details", lambda: status_of(tail=False))
    assert [each.running for each in serving.deployments()] == [0]
    assert sorted(asked) == ["all", "free"]


def test_a_controller_that_is_silent_was_asked_more_than_once() -> None:
    assert 2 * serving.ASK_SECONDS <= SERVE_SILENT_AFTER_SECONDS
