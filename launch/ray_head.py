"""The one-machine Ray cluster: started by the driver, on loopback alone, ended with it."""

import logging
from pathlib import Path
from typing import Any, NamedTuple

import ray

from deployments.runtime import ray_internals
from launch import own_processes
from launch.cluster import CPUS
from launch.reports import Daemon

# Without these two the cluster is lost; the others can be started again beside it.
VITAL = ("gcs_server", "raylet")


class RayHead(NamedTuple):
    daemons: list[Daemon]
    dashboard: str  # its address, a URL


def start(temp_dir: Path, *, whole_dashboard: bool = False) -> RayHead:
    """Start a head node in this process's care, and name its processes.

    Of the dashboard only what `serve deploy` asks is there, unless all of it is wanted.

    Ray finds the dashboard a port itself, from 8265 on. One that is chosen here may be taken by
    another platform of this machine before Ray comes to open it.
    """
    ray_internals.leave_out_monitors()
    if not whole_dashboard:
        ray_internals.serve_pages_only()
    context: Any = ray.init(
        address="local",
        _node_ip_address="127.0.0.1",
        _temp_dir=str(temp_dir),
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        num_cpus=CPUS,
        object_store_memory=256 * 1024 * 1024,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=False,
        namespace="ballast",
    )
    return RayHead(_daemons(), f"http://{context.dashboard_url}")


def _daemons() -> list[Daemon]:
    return [
        Daemon(
            name=name,
            pid=pid,
            started=own_processes.started_at(pid) or 0.0,
            port=port,
            must_live=name in VITAL,
        )
        for name, pid, port in ray_internals.head_processes()
    ]


def stop() -> None:
    ray.shutdown()
