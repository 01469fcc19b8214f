"""What the head node of one machine relies on in Ray's own code."""

import inspect
from pathlib import Path

import ray._private.node
from ray.serve._private import constants, controller

from deployments.launch import cluster
from deployments.launch.ray_head import MONITORS


def test_ray_starts_each_monitor_by_a_method_without_arguments() -> None:
    for name in MONITORS:
        method = getattr(ray._private.node.Node, name)
        assert list(inspect.signature(method).parameters) == ["self"]


def test_ray_starts_each_monitor_in_one_place() -> None:
    source = inspect.getsource(ray._private.node)
    for name in MONITORS:
        assert source.count(f"self.{name}()") == 1


def test_serves_controller_reads_how_often_it_is_to_look(tmp_path: Path) -> None:
    name = "RAY_SERVE_CONTROL_LOOP_INTERVAL_S"
    ours = cluster.environment(tmp_path, tmp_path, plain=False)[name]
    assert float(ours) > constants.CONTROL_LOOP_INTERVAL_S
    assert name in inspect.getsource(constants)
    assert "sleep(CONTROL_LOOP_INTERVAL_S)" in inspect.getsource(controller)
