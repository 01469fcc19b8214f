"""What the head node of one machine relies on in Ray's own code."""

import inspect
from pathlib import Path

from ray.serve._private import constants, controller

from launch import cluster


def test_serves_controller_reads_how_often_it_is_to_look(tmp_path: Path) -> None:
    name = "RAY_SERVE_CONTROL_LOOP_INTERVAL_S"
    ours = cluster.environment(tmp_path, tmp_path, plain=False)[name]
    assert float(ours) > constants.CONTROL_LOOP_INTERVAL_S
    assert name in inspect.getsource(constants)
    assert "sleep(CONTROL_LOOP_INTERVAL_S)" in inspect.getsource(controller)
