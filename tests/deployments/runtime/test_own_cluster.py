"""What a process does of its Ray cluster's: only where Ray has started it."""

import sys

import pytest
import ray

from deployments.runtime import own_cluster, ray_internals
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give for how long the main thread was told to rest."""
    found: list[float] = []
    monkeypatch.setattr(ray_internals, "rest_before_signals", lambda rest: found.append(rest()))
    return found


def test_the_main_thread_of_a_worker_rests(
    rests: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    own_cluster.let_main_thread_rest()
    assert rests == [MAIN_THREAD_RESTS_SECONDS]
    assert MAIN_THREAD_RESTS_SECONDS <= 0.1  # so late a replica says that it is well


def test_that_of_a_process_which_ray_did_not_start_does_not(rests: list[float]) -> None:
    assert not ray.is_initialized()
    own_cluster.let_main_thread_rest()
    assert rests == []


def test_nor_where_ray_is_not_loaded(rests: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray")
    own_cluster.let_main_thread_rest()
    assert rests == []
