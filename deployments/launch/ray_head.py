"""The one-machine Ray cluster: started by the driver, on loopback alone, ended with it."""

import logging
from pathlib import Path
from typing import Any

import ray
import ray._private.node
import ray._private.worker

from deployments.launch import own_processes
from deployments.launch.cluster import CPUS
from deployments.launch.reports import Daemon

# Without these two the cluster is lost; the others can be started again beside it.
VITAL = ("gcs_server", "raylet")
# Methods of Ray's own node, each of which starts one process.
MONITORS = ("start_monitor", "start_log_monitor")


def start(temp_dir: Path, dashboard_port: int) -> list[Daemon]:
    """Start a head node in this process's care, and name its processes."""
    _leave_out_monitors()
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


def _leave_out_monitors() -> None:
    """Keep Ray from starting two processes that have nothing to do on one machine.

    One would ask for more nodes, the other send workers' output to a driver that does not want it;
    together they take a fiftieth of a core for ever.
    """
    node: Any = ray._private.node.Node  # noqa: SLF001 - no option leads there
    for start_monitor in MONITORS:
        setattr(node, start_monitor, lambda _: None)


def _daemons() -> list[Daemon]:
    node: Any = ray._private.worker._global_node  # noqa: SLF001 - Ray tells nobody else
    ports = {
        "gcs_server": int(node.gcs_address.rpartition(":")[2]),
        "raylet": int(ray.nodes()[0]["NodeManagerPort"]),
    }
    return [
        Daemon(
            name=name,
            pid=info.process.pid,
            started=own_processes.started_at(info.process.pid) or 0.0,
            port=ports.get(name),
            must_live=name in VITAL,
        )
        for name, processes in node.all_processes.items()
        for info in processes
    ]


def stop() -> None:
    ray.shutdown()
