"""What Ray, Serve and every replica find in their environment: each variable once.

`ballast up` sets the values of one machine; cluster.yaml, which `make generate` writes, those of a
cluster. Ray is not imported here: it reads some of these while it is imported.
"""

from collections.abc import Iterable

from deployments.runtime.autoscaling.policy import NODES_COME_VARIABLE
from launch.front.servers import FOLDER_VARIABLE
from launch.ray_at_rest import AT_REST
from launch.variable import Variable, both, one_machine

# Where this project lies on each node of a cluster.
CHECKOUT = "$HOME/ballast"
_RAY_DEFAULT = "the files of Serve's own HAProxy lie where Ray puts them"

BEFORE_RAY = (
    one_machine(
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "0",
        "Ray asks this of macOS and Windows only; it keeps every port of the cluster on loopback. "
        "The nodes of a cluster must reach each other.",
    ),
    both(
        "RAY_AUTH_MODE",
        "token",
        "Ray's default for a local cluster, stated here. On one machine the token lies in "
        "~/.ray/auth_token, on a cluster it is RAY_AUTH_TOKEN.",
    ),
)
"""What must be set before Ray is imported: it reads these once, and early."""

AT_START = (
    both("RAY_USAGE_STATS_ENABLED", "0", "Nothing is reported to Ray's authors."),
    both(
        "RAY_worker_niceness",
        "0",
        "Ray runs workers at niceness 15; replicas that answer people are no background work.",
    ),
    both("RAY_DEDUP_LOGS", "1", "A line that many workers log is printed once."),
    both(
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO",
        "0",
        "A replica that asks for no GPU finds CUDA_VISIBLE_DEVICES as it was.",
    ),
    both(
        "RAY_SERVE_THROUGHPUT_OPTIMIZED",
        "1",
        "Replicas run user code on their own event loop, without a second thread.",
    ),
    both(
        "RAY_SERVE_ENABLE_HA_PROXY",
        "1",
        "Only in this mode do gateways open a port of their own, which the front sends to.",
    ),
    both(
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
        "deployments.gateway.shortcut.middlewares",
        "The gateway answers inference requests before FastAPI does.",
    ),
    Variable(
        "RAY_SERVE_HAPROXY_BINARY_PATH",
        "{commands}/ballast-haproxy",
        f"{CHECKOUT}/.venv/bin/ballast-haproxy",
        "Serve starts this in place of HAProxy, and the front learns from it of the gateways.",
    ),
    one_machine("RAY_SERVE_HAPROXY_CONFIG_FILE_LOC", "{haproxy}/haproxy.cfg", _RAY_DEFAULT),
    one_machine("RAY_SERVE_HAPROXY_SOCKET_PATH", "{haproxy}/admin.sock", _RAY_DEFAULT),
    one_machine("RAY_SERVE_HAPROXY_SERVER_STATE_BASE", "{haproxy}", _RAY_DEFAULT),
    one_machine("RAY_SERVE_HAPROXY_SERVER_STATE_FILE", "{haproxy}/server-state", _RAY_DEFAULT),
    one_machine("RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH", "{haproxy}/metrics.sock", _RAY_DEFAULT),
    both("RAY_SERVE_HAPROXY_METRICS_ENABLED", "0", "Its metrics port listens on all interfaces."),
    both("RAY_SERVE_HAPROXY_NBTHREAD", "1", "No request passes through Serve's own HAProxy."),
    both(
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S",
        "1",
        "After three failed checks Serve starts its HAProxy, or the actor that minds it, again.",
    ),
    both(
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        "1",
        "A gateway that ends and holds no request stays for a second, not for half a minute.",
    ),
    both(
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S",
        "0.25",
        "The controller looks at everything four times a second; at Ray's ten it takes .04 of a "
        "core for nothing.",
    ),
    both(
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS",
        "10000",
        "Serve's processes sum up their own metrics as often as Ray sends them, not ten times a "
        "second.",
    ),
    *AT_REST,
    Variable(
        NODES_COME_VARIABLE,
        None,
        "1",
        "Ray adds a node for a replica that finds no place, so replicas may be asked for beyond "
        "the CPUs that are free.",
    ),
    Variable(
        FOLDER_VARIABLE,
        "{front}",
        "$HOME/.ballast/front",
        "Where the front of this node keeps its sockets and learns of the gateways.",
    ),
    Variable(
        "BALLAST_HOST",
        None,
        "0.0.0.0",  # noqa: S104 - a node's front is there for the network
        "The front listens for the load balancer, and gateways know that /docs needs a key. "
        "On one machine it is the user's setting, and passed on as it is.",
    ),
    Variable(
        "BALLAST_HOME",
        "{home}",
        "$HOME/.ballast",
        "Replicas run in other working directories, and must find the same home.",
    ),
    one_machine(
        "PYTHONPATH",
        "{python_path}",
        "Workers are forked of one process on one machine; on a cluster they start as Ray's do.",
    ),
    both(
        "OMP_NUM_THREADS",
        "1",
        "One batch runs on one thread; more would only take turns on the same cores.",
    ),
)
"""What must be set when a node starts."""

CONTROL_STORE = (
    one_machine(
        "RAY_gcs_storage",
        "rocksdb",
        "The control store keeps its state in files, so that it can be started again by itself.",
    ),
    one_machine(
        "RAY_gcs_storage_path",
        "{folder}",
        "New for each life of the cluster. A head node that is lost takes its disk with it.",
    ),
)
"""What only the control store reads."""

FAST_ONLY = (
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
    "PYTHONPATH",
    *(each.name for each in AT_REST),
)
"""What the plain profile leaves out: Serve's ingress, Ray's workers, its metrics and its dashboard
are as they come.
"""


def on_one_machine(variables: Iterable[Variable], **places: object) -> dict[str, str]:
    """Give the values of one machine, with these places in them."""
    values = ((each.name, each.on_one_machine(**places)) for each in variables)
    return {name: value for name, value in values if value is not None}


def on_a_cluster(variables: Iterable[Variable]) -> list[Variable]:
    """Give those that are set on the nodes of a cluster."""
    return [each for each in variables if each.cluster is not None]
