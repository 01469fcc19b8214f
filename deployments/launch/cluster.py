"""What the processes of the one-machine Ray cluster find in their environment."""

import os
import sys
from pathlib import Path

from deployments.launch.before_ray import BEFORE_RAY
from deployments.launch.errors import MissingBinaryError
from deployments.launch.front.servers import FOLDER_VARIABLE

STARTUP = Path(__file__).with_name("startup")
# Replicas ask for fractions of a CPU; the rest is for sweeps and retraining.
CPUS = max(os.cpu_count() or 2, 2)
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray runs workers at niceness 15; replicas that answer people are no background work.
    "RAY_worker_niceness": "0",
    "RAY_DEDUP_LOGS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def environment(scratch: Path, home: Path) -> dict[str, str]:
    """Give what Ray, Serve and every replica must find in their environment at their start."""
    haproxy = scratch / "haproxy"
    return {
        **BEFORE_RAY,
        **QUIET,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.gateway.shortcut.middlewares",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(command("ballast-haproxy")),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        FOLDER_VARIABLE: str(front_folder(scratch)),
        # Three failed checks and Serve starts its HAProxy, or the actor that minds it, again.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        # How often the controller looks at everything; at Ray's .1 s that takes .04 of a core.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
        "BALLAST_HOME": str(home),
        "PYTHONPATH": python_path(os.environ.get("PYTHONPATH")),
        # One batch runs on one thread; more would only take turns on the same cores.
        "OMP_NUM_THREADS": "1",
    }


def front_folder(scratch: Path) -> Path:
    """Name the folder where the front keeps its sockets and learns of the gateways."""
    return scratch / "front"


def python_path(given: str | None) -> str:
    """Put what every process of the cluster runs first before what the user has there."""
    return os.pathsep.join([str(STARTUP), given] if given else [str(STARTUP)])


def command(name: str) -> Path:
    """Find a command of this installation."""
    found = Path(sys.prefix) / "bin" / name
    if not found.is_file():
        raise MissingBinaryError(name, "Install the project anew: `make install`.")
    return found


def control_store(folder: Path) -> dict[str, str]:
    """Have the control store keep its state in files, so that it can be started again by itself."""
    return {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(folder)}
