"""All that is known here of Ray's and Serve's private parts: nobody else imports or names them.

Its tests hold each assumption against the Ray that is installed (test_ray_internals.py).
Ray is imported where it is needed only: `make dev` has none, and the zygote begins without it.
"""

import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import unwrap
from types import FrameType
from typing import Any, NamedTuple

# The program of a worker, as a module and as a file of Ray's folder.
WORKER_MODULE = "ray._private.workers.default_worker"
WORKER_FILE = "_private/workers/default_worker.py"
# What Serve's own processes and each replica import.
SERVE_MODULES = (
    "ray.serve._private.controller",
    "ray.serve._private.replica",
    "ray.serve._private.proxy",
    "ray.serve._private.haproxy",
)
# The one module of Serve that imports pandas, and goes on without where it is not installed.
IMPORTS_PANDAS = "ray.serve._private.utils"
# Methods of Ray's node, each of which starts one process and is called in one place.
MONITORS = ("start_monitor", "start_log_monitor")
# The part of Ray's dashboard that `serve deploy` asks.
SERVE_PAGES = "ServeHead"

# What Serve's controller rests for between two steps, by its name in two modules.
INTERVAL = "CONTROL_LOOP_INTERVAL_S"
# What Ray calls the processes of Serve's own actors that answer no request of ours.
PROXIES = ("ray::ProxyActor", "ray::HAProxyManager")

OpenGrpc = Callable[[Any, str], Any]
OpenHttp = Callable[..., Awaitable[tuple[Any, Any]]]


class DaemonProcess(NamedTuple):
    """One process of the head node that this process began."""

    name: str
    pid: int
    port: int | None


def leave_out_monitors() -> None:
    """Keep Ray from starting two processes that have nothing to do on one machine.

    One would ask for more nodes, the other send workers' output to a driver that does not want it;
    together they take a fiftieth of a core for ever. No option of Ray's leads there.
    """
    from ray._private.node import Node  # noqa: PLC0415 - see above

    for start_monitor in MONITORS:
        setattr(Node, start_monitor, lambda _: None)


def serve_pages_only() -> None:
    """Have Ray's dashboard load only what `serve deploy` asks.

    Each of its other parts is a process of its own, which takes seconds to begin and waits for
    somebody to open a page. No option of Ray's leads there.
    """
    from ray._private import ray_constants, services  # noqa: PLC0415 - see above

    start = services.start_ray_process

    def start_less(command: list[str], process_type: str, *rest: Any, **named: Any) -> Any:
        if process_type == ray_constants.PROCESS_TYPE_DASHBOARD:
            command = [*command, f"--modules-to-load={SERVE_PAGES}"]
        return start(command, process_type, *rest, **named)

    services.start_ray_process = start_less


def head_processes() -> list[DaemonProcess]:
    """Name the processes of the head node; Ray tells nobody else of them."""
    import ray._private.worker  # noqa: PLC0415 - see above

    node: Any = ray._private.worker._global_node  # noqa: SLF001 - that is what this file is for
    ports = {
        "gcs_server": int(node.gcs_address.rpartition(":")[2]),
        "raylet": int(ray.nodes()[0]["NodeManagerPort"]),
    }
    return [
        DaemonProcess(name, info.process.pid, ports.get(name))
        for name, processes in node.all_processes.items()
        for info in processes
    ]


def free_cpus() -> list[float]:
    """Give the CPUs that nobody has reserved, of each node; Ray's own sum hides where they are."""
    import ray._private.state  # noqa: PLC0415 - see above

    nodes: Mapping[str, Mapping[str, float]] = ray._private.state.available_resources_per_node()  # noqa: SLF001 - that is what this file is for
    return [float(each.get("CPU", 0.0)) for each in nodes.values()]


def decide_at_once(context: Any) -> None:
    """Have Serve do without delay what its policy decides here, also where that is fewer replicas.

    Serve has one delay for those that run and for those that wait for a place. It makes a context
    for each decision, and takes the delay from it after the policy.
    """
    context.config = context.config.model_copy(update={"downscale_delay_s": 0.0})


def write_reports_with(write: Callable[[Mapping[str, Any]], None]) -> None:
    """Have what Ray's daemons report written by this, in place of printed between our own lines."""
    import ray._private.worker  # noqa: PLC0415 - see above

    def written(message: Mapping[str, Any], **_: Any) -> None:
        write(message)

    ray._private.worker.print_to_stdstream = written  # noqa: SLF001 - that is what this file is for


def wrap_port_openers(
    grpc: Callable[[OpenGrpc], OpenGrpc], http: Callable[[OpenHttp], OpenHttp]
) -> None:
    """Put these around what opens a replica's ports in this process, once.

    Serve opens them after the deployment's constructor, through these names of its module.
    """
    from ray.serve._private import replica  # noqa: PLC0415 - see above

    module: Any = replica
    if getattr(module.add_port_to_grpc_server, "wrapped_by_ballast", False):
        return
    module.add_port_to_grpc_server = grpc(module.add_port_to_grpc_server)
    module.add_port_to_grpc_server.wrapped_by_ballast = True
    module.start_asgi_http_server = http(module.start_asgi_http_server)


def pace_controller(pace: Callable[[bool], float], nodes_are_due: Callable[[], bool]) -> None:
    """Have Serve's controller rest after each step as long as this says, told whether it is calm.

    It is called while the controller is being made, of a class that Ray derived of Serve's. Serve
    has one interval for all times, which its loop reads off its module at each turn; another module
    sizes by it how many replicas each turn looks at. In each turn it also asks the control store
    three questions about the nodes: that it does only where they are due.
    """
    from ray.serve._private import deployment_state  # noqa: PLC0415 - see above

    kind = _controller_that_is_made()
    step, of_loop = kind.run_control_loop_step, unwrap(kind.run_control_loop).__globals__

    async def paced(self: Any, *arguments: Any, **named: Any) -> None:
        nodes = self.cluster_node_info_cache
        nodes.update = partial(type(nodes).update, nodes) if nodes_are_due() else _nothing
        await step(self, *arguments, **named)
        of_loop[INTERVAL] = rest = pace(_is_calm(self))
        setattr(deployment_state, INTERVAL, rest)

    kind.run_control_loop_step = paced


def _nothing() -> None:
    """Go by what is known."""


def _controller_that_is_made() -> Any:
    """Find the class of whoever calls back: no module names it."""
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to learn who calls
    while frame is not None:
        kind: Any = type(frame.f_locals.get("self"))
        if hasattr(kind, "run_control_loop_step"):
            return kind
        frame = frame.f_back
    raise LookupError("No controller of Serve's is being made here")


def controller_interval() -> float:
    """Give how long Serve's controller rests between two steps where nobody paces it."""
    from ray.serve._private import constants  # noqa: PLC0415 - see above

    return float(getattr(constants, INTERVAL))


def _is_calm(controller: Any) -> bool:
    """Tell whether all is as it should be.

    A range of replicas is no reason to look more often: Serve keeps its delays by the clock.
    """
    deployments = controller.deployment_state_manager
    applications = controller.application_state_manager._application_states  # noqa: SLF001 - that is what this file is for
    proxies = controller.proxy_state_manager
    started = [*proxies._proxy_states.values(), proxies._fallback_proxy_state]  # noqa: SLF001 - see above
    return (
        controller.done_recovering_event.is_set()
        and not controller._shutting_down  # noqa: SLF001 - see above
        and deployments._all_deployments_healthy  # noqa: SLF001 - see above
        and all(each.status == "RUNNING" for each in applications.values())
        and all(each is None or each.status == "HEALTHY" for each in started)
    )


def rest_before_signals(rest_s: Callable[[], float]) -> None:
    """Have the main thread of this worker rest for so long each time before it looks for signals.

    Ray's looks a hundred times a second, which no option changes, and is most of what a worker
    takes that has nothing to do. The thread hands calls that come through Ray to the event loop:
    such a call waits for the rest. A signal ends it.
    """
    import ray._raylet  # noqa: PLC0415 - see above

    module: Any = ray._raylet  # noqa: SLF001 - that is what this file is for
    module.sys = _RestingSys(rest_s)


def let_proxies_rest(rest_s: float, after_s: float, clock: Callable[[], float]) -> None:
    """Do the same in a worker that is one of Serve's proxies so long after its begin, no other."""
    import ray._raylet  # noqa: PLC0415 - see above

    module: Any = ray._raylet  # noqa: SLF001 - that is what this file is for
    title: Callable[[], str] = module.getproctitle
    begun, rests = clock(), list[float]()

    def seconds() -> float:
        if not rests and clock() - begun >= after_s:
            rests.append(rest_s if title() in PROXIES else 0.0)
        return rests[0] if rests else 0.0

    rest_before_signals(seconds)


class _RestingSys:
    """Stands for `sys` in Ray's own module, which asks it in each turn whether Python ends."""

    def __init__(self, rest_s: Callable[[], float]) -> None:
        self._rest_s = rest_s

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def is_finalizing(self) -> bool:
        if sys.is_finalizing():
            return True
        seconds = self._rest_s()
        if seconds and threading.get_ident() == threading.main_thread().ident:
            time.sleep(seconds)
        return sys.is_finalizing()
