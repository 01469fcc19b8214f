"""The one-machine Ray cluster: started by the driver, on loopback alone, ended with it."""

import logging
from pathlib import Path

import ray

from deployments.runtime import ray_internals
from launch import own_processes
from launch.cluster import CPUS
from launch.reports import Daemon

# Without these two the cluster is lost; the others can be started again beside it.
VITAL = ("gcs_server", "raylet")


def start(temp_dir: Path, dashboard_port: int) -> list[Daemon]:
    """Start a head node in this process's care, and name its processes."""
    ray_internals.leave_out_monitors()
    ray.init(
        address="local",
        _node_ip_address="127.0.0.1",
        _temp_dir=str(temp_dir),
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=dashboard_port,
        num_cpus=CPUS,
        object_store_memory=256 * 1024 * 1024,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=False,
        namespace="ballast",
    )
    return _daemons()


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
