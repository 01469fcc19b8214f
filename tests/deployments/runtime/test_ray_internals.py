"""Each assumption about Ray's private parts, held against the Ray that is installed."""

import asyncio
import inspect
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray._private.state
import ray._private.worker
import ray._raylet
import ray.actor
import ray.cloudpickle
from ray._private import node, ray_constants, services
from ray.dashboard import dashboard
from ray.dashboard.modules.serve import serve_head
from ray.serve import autoscaling_policy
from ray.serve._private import (
    application_state,
    controller,
    deployment_state,
    http_util,
    proxy_state,
    replica,
    utils,
)
from ray.serve._private.autoscaling_state import DeploymentAutoscalingState
from ray.serve._private.haproxy import HAProxyManager
from ray.serve._private.proxy import ProxyActor
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ApplicationStatus, ProxyStatus

from deployments.runtime import ray_internals

ROOT = Path(__file__).parents[3]
PRIVATE = re.compile(r"\bray(\.\w+)*\._|_private/workers|ray\.core\.generated")
ROOMS = (
    *("deployments", "tuning", "features", "models", "safety", "access", "config_store"),
    *("launch", "observability", "settings", "benchmarks"),
)
# Measures what Serve's own router costs, for which it stands in Serve's place.
A_BENCH = ROOT / "benchmarks/decisions/lane.py"


def test_no_other_file_names_a_private_part() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    found = {path for path in files if PRIVATE.search(path.read_text())}
    assert found == {Path(inspect.getfile(ray_internals)), A_BENCH}


@pytest.mark.parametrize("module", [ray_internals.WORKER_MODULE, *ray_internals.SERVE_MODULES])
def test_the_modules_are_there(module: str) -> None:
    assert find_spec(module) is not None


def test_a_worker_is_the_file_of_its_module() -> None:
    found = find_spec(ray_internals.WORKER_MODULE)
    assert found is not None
    assert found.origin is not None
    assert found.origin.endswith(f"/ray/{ray_internals.WORKER_FILE}")


def test_the_module_that_imports_pandas_is_the_one() -> None:
    """That it goes on without is shown in launch/test_startup.py, in a process of its own."""
    importing = [
        module for module in (utils, replica, controller, http_util) if hasattr(module, "pd")
    ]
    assert [module.__name__ for module in importing] == [ray_internals.IMPORTS_PANDAS]


def test_ray_starts_each_monitor_by_a_method_without_arguments() -> None:
    for name in ray_internals.MONITORS:
        assert list(inspect.signature(getattr(node.Node, name)).parameters) == ["self"]


def test_ray_starts_each_monitor_in_one_place() -> None:
    source = inspect.getsource(node)
    for name in ray_internals.MONITORS:
        assert source.count(f"self.{name}()") == 1


def test_monitors_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ray_internals.MONITORS:
        monkeypatch.setattr(node.Node, name, getattr(node.Node, name))  # put back after the test
    ray_internals.leave_out_monitors()
    bare = node.Node.__new__(node.Node)
    assert bare.start_monitor() is None
    assert bare.start_log_monitor() is None


def test_the_dashboard_is_started_in_one_place_and_told_what_to_load() -> None:
    source = inspect.getsource(services.start_api_server)
    assert source.count("start_ray_process(") == 1
    assert "ray_constants.PROCESS_TYPE_DASHBOARD" in source
    assert hasattr(serve_head, ray_internals.SERVE_PAGES)
    assert '"--modules-to-load"' in Path(dashboard.__file__).read_text()


def test_only_the_dashboard_is_told_to_load_less(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def start(command: list[str], _type: str, **_: Any) -> None:
        started.append(command)

    monkeypatch.setattr(services, "start_ray_process", start)
    ray_internals.serve_pages_only()
    services.start_ray_process(["raylet"], ray_constants.PROCESS_TYPE_RAYLET, fate_share=True)
    services.start_ray_process(["dashboard"], ray_constants.PROCESS_TYPE_DASHBOARD, fate_share=True)
    assert started == [["raylet"], ["dashboard", "--modules-to-load=ServeHead"]]


class _Process:
    def __init__(self, pid: int) -> None:
        self.process = self
        self.pid = pid


def test_the_head_names_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node is what Ray's own class says: the attributes that are read exist on it."""
    assert isinstance(inspect.getattr_static(node.Node, "gcs_address"), property)
    assert "self.all_processes" in inspect.getsource(node.Node)
    assert "_global_node" in vars(ray._private.worker)

    class Head:
        gcs_address = "127.0.0.1:6379"
        all_processes: Mapping[str, list[_Process]] = {
            "gcs_server": [_Process(7)],
            "raylet": [_Process(8)],
            "dashboard": [_Process(9)],
        }

    monkeypatch.setattr(ray._private.worker, "_global_node", Head())
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeManagerPort": 4711}])
    assert ray_internals.head_processes() == [
        ("gcs_server", 7, 6379),
        ("raylet", 8, 4711),
        ("dashboard", 9, None),
    ]


def test_the_free_cpus_are_those_of_each_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's public figure is their sum, in which two halves of a place look like one."""
    nodes = {"one": {"CPU": 0.1, "memory": 1.0}, "two": {"memory": 1.0}, "three": {"CPU": 1.5}}
    assert callable(ray._private.state.available_resources_per_node)
    monkeypatch.setattr(ray._private.state, "available_resources_per_node", lambda: nodes)
    assert ray_internals.free_cpus() == [0.1, 0.0, 1.5]


@pytest.mark.parametrize(("at_once", "wanted"), [(True, 2), (False, 5)])
def test_serve_takes_the_delay_from_the_context_after_the_policy(
    at_once: bool, wanted: int
) -> None:
    def fewer(contexts: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, Any]]:
        if at_once:
            ray_internals.decide_at_once(contexts["tail"])
        return {"tail": 2}, {}

    config = AutoscalingConfig(min_replicas=1, max_replicas=8, downscale_delay_s=60.0)
    context = SimpleNamespace(
        current_num_replicas=2,
        target_num_replicas=5,
        total_num_requests=0.0,
        policy_state={},
        config=config,
    )
    decide = autoscaling_policy._apply_app_level_autoscaling_config(fewer)
    decided, _ = decide({"tail": context})
    assert decided == {"tail": wanted}
    assert config.downscale_delay_s == 60.0


def test_serve_makes_a_context_for_each_decision() -> None:
    source = inspect.getsource(DeploymentAutoscalingState.get_autoscaling_context)
    assert "return AutoscalingContext(" in source
    assert "config=self._config" in source


def test_reports_go_where_they_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    worker: Any = ray._private.worker
    assert re.search(r"\bprint_to_stdstream\(", inspect.getsource(worker))
    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)
    taken: list[Mapping[str, Any]] = []
    ray_internals.write_reports_with(taken.append)
    worker.print_to_stdstream({"lines": ["a line"]}, ignore_prefix=False)
    assert taken == [{"lines": ["a line"]}]


def test_serve_opens_ports_through_the_names_that_are_wrapped() -> None:
    source = inspect.getsource(replica)
    assert source.count("add_port_to_grpc_server(") == 1
    assert source.count("start_asgi_http_server(") == 1
    assert list(inspect.signature(http_util.start_asgi_http_server).parameters)[:2] == [
        "app",
        "http_options",
    ]


def test_serves_controller_is_the_class_that_is_preloaded() -> None:
    assert hasattr(controller, "ServeController")


def test_serves_loop_reads_its_interval_at_each_turn_behind_a_step() -> None:
    loop = inspect.getsource(controller.ServeController.run_control_loop)
    assert loop.index("await self.run_control_loop_step(") < loop.index(
        "asyncio.sleep(CONTROL_LOOP_INTERVAL_S)"
    )
    assert "/ max(CONTROL_LOOP_INTERVAL_S" in inspect.getsource(deployment_state)
    begin = inspect.getsource(controller.ServeController.__init__)
    # What wraps a step is put there before the first one.
    assert begin.index("call_function_from_import_path(") < begin.index("self.run_control_loop()")


def test_what_is_asked_of_serves_controller_is_there() -> None:
    begin = inspect.getsource(controller.ServeController.__init__)
    for name in (
        "_shutting_down",
        "done_recovering_event",
        "deployment_state_manager",
        "application_state_manager",
        "proxy_state_manager",
    ):
        assert f"self.{name} = " in begin
    parts: list[tuple[Any, tuple[str, ...]]] = [
        (
            deployment_state.DeploymentStateManager,
            ("_all_deployments_healthy", "_deployment_states"),
        ),
        (application_state.ApplicationStateManager, ("_application_states",)),
        (proxy_state.ProxyStateManager, ("_proxy_states", "_fallback_proxy_state")),
        (deployment_state.DeploymentState, ("_target_state",)),
    ]
    for kind, names in parts:
        for name in names:
            assert f"self.{name}" in inspect.getsource(kind.__init__)
    assert isinstance(inspect.getattr_static(proxy_state.ProxyState, "status"), property)
    assert isinstance(
        inspect.getattr_static(application_state.ApplicationState, "status"), property
    )
    healthy: str = ProxyStatus.HEALTHY
    running: str = ApplicationStatus.RUNNING
    assert (healthy, running) == ("HEALTHY", "RUNNING")


class _Nodes:
    asked = 0

    def update(self) -> None:
        self.asked += 1


class _Controller:
    """As much of Serve's as is asked; all is calm."""

    def __init__(self, least: int = 1, most: int = 1) -> None:
        scaling = SimpleNamespace(min_replicas=least, max_replicas=most)
        info = SimpleNamespace(deployment_config=SimpleNamespace(autoscaling_config=scaling))
        deployment = SimpleNamespace(_target_state=SimpleNamespace(info=info))
        self._shutting_down = False
        self.done_recovering_event = asyncio.Event()
        self.done_recovering_event.set()
        self.deployment_state_manager = SimpleNamespace(
            _all_deployments_healthy=True, _deployment_states={"tail": deployment}
        )
        application = SimpleNamespace(status=ApplicationStatus.RUNNING)
        self.application_state_manager = SimpleNamespace(_application_states={"b": application})
        proxy = SimpleNamespace(status=ProxyStatus.HEALTHY)
        self.proxy_state_manager = SimpleNamespace(
            _proxy_states={"node": proxy}, _fallback_proxy_state=None
        )
        self.cluster_node_info_cache: Any = _Nodes()
        self.nodes_are_due = True
        self.steps = 0

    async def run_control_loop_step(self, turns: int) -> None:
        self.cluster_node_info_cache.update()
        self.steps += turns


def _as_ray_sends_it() -> type[Any]:
    """Give Serve's own class as it comes to the process that the controller is made in."""
    sent: Any = ray.remote(num_cpus=0)(controller.ServeController)
    found: type[Any] = ray.cloudpickle.loads(
        ray.cloudpickle.dumps(sent.__ray_metadata__.modified_class)
    )
    return found


@pytest.fixture
def paced(monkeypatch: pytest.MonkeyPatch) -> type[_Controller]:
    class Controller(_Controller, _as_ray_sends_it()):  # type: ignore[misc] # found as it runs
        def __init__(self, least: int = 1, most: int = 1) -> None:
            super().__init__(least, most)
            if "run_control_loop_step" not in vars(Controller):
                ray_internals.pace_controller(
                    lambda calm: 1.0 if calm else 0.5, lambda: self.nodes_are_due
                )

    for module in (controller, deployment_state):
        monkeypatch.setattr(module, ray_internals.INTERVAL, 0.25)
    return Controller


def _interval_after_a_step(one: _Controller) -> float:
    asyncio.run(one.run_control_loop_step(3))
    assert one.steps == 3
    loop: Any = type(one)
    found: float = inspect.unwrap(loop.run_control_loop).__globals__[ray_internals.INTERVAL]
    assert found == getattr(deployment_state, ray_internals.INTERVAL)
    return found


def test_a_calm_controller_rests_for_longer(paced: type[_Controller]) -> None:
    assert _interval_after_a_step(paced()) == 1.0
    assert _interval_after_a_step(paced(least=2, most=2)) == 1.0
    assert _interval_after_a_step(paced(least=1, most=4)) == 1.0


def test_a_controller_that_has_something_to_do_does_not(paced: type[_Controller]) -> None:
    short, deploying, starting, leaving, beginning = (paced() for _ in range(5))
    short.deployment_state_manager._all_deployments_healthy = False
    deploying.application_state_manager._application_states[
        "b"
    ].status = ApplicationStatus.DEPLOYING
    starting.proxy_state_manager._fallback_proxy_state = SimpleNamespace(
        status=ProxyStatus.STARTING
    )
    leaving._shutting_down = True
    beginning.done_recovering_event.clear()
    for each in (short, deploying, starting, leaving, beginning):
        assert _interval_after_a_step(each) == 0.5


def test_the_loop_that_runs_asks_its_class_for_the_step_and_its_module_for_the_interval() -> None:
    """Ray derives a class of Serve's that has each method anew."""
    sent: Any = _as_ray_sends_it()
    assert sent.run_control_loop_step is not controller.ServeController.run_control_loop_step
    loop: Any = inspect.unwrap(sent.run_control_loop)
    assert ray_internals.INTERVAL in loop.__code__.co_names
    assert ray_internals.INTERVAL in loop.__globals__
    assert "run_control_loop_step" in loop.__code__.co_names


def test_a_turn_asks_about_the_nodes_where_they_are_due(paced: type[_Controller]) -> None:
    assert "self.cluster_node_info_cache.update()" in inspect.getsource(
        controller.ServeController.run_control_loop_step
    )
    one = paced()
    asked = list[int]()
    for due in (True, False, False, True):
        one.nodes_are_due = due
        asyncio.run(one.run_control_loop_step(1))
        asked.append(one.cluster_node_info_cache.asked)
    assert asked == [1, 1, 1, 2]


def test_without_a_controller_there_is_nothing_to_pace() -> None:
    with pytest.raises(LookupError):
        ray_internals.pace_controller(lambda _: 7.0, lambda: True)


def test_ray_looks_for_signals_by_what_it_calls_sys() -> None:
    """In C++, in each turn; its own module's name for `sys` is looked up each time."""
    library = Path(ray._raylet.__file__).read_bytes()
    assert b"CoreWorker.CheckSignal" in library
    assert b"is_finalizing" in library
    # In a process of its own: in this one another test's replica may rest.
    alone = "import sys, ray._raylet; assert vars(ray._raylet)['sys'] is sys"
    subprocess.run([sys.executable, "-c", alone], check=True)


def test_only_the_main_thread_rests_before_it_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray._raylet, "sys", sys)
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    ray_internals.rest_before_signals(lambda: 0.09)
    seen: Any = vars(ray._raylet)["sys"]
    assert seen.is_finalizing() is False
    assert rests == [0.09]
    other = threading.Thread(target=seen.is_finalizing)
    other.start()
    other.join()
    assert rests == [0.09]
    assert seen.modules is sys.modules
    assert seen.exit is sys.exit
    assert sys.is_finalizing() is False


def test_with_no_rest_it_looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray._raylet, "sys", sys)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it rests"))
    ray_internals.rest_before_signals(lambda: 0.0)
    seen: Any = vars(ray._raylet)["sys"]
    assert seen.is_finalizing() is False


@pytest.mark.parametrize(
    ("title", "rests"),
    [("ray::HAProxyManager", True), ("ray::ProxyActor", True), ("ray::IDLE", False)],
)
def test_serves_proxies_rest_once_they_have_begun_and_no_other_worker_does(
    title: str, rests: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray._raylet, "sys", sys)
    monkeypatch.setattr(ray._raylet, "getproctitle", lambda: title)
    now, slept = [100.0], list[float]()
    monkeypatch.setattr(time, "sleep", slept.append)
    ray_internals.let_proxies_rest(0.09, 30.0, lambda: now[0])
    seen: Any = vars(ray._raylet)["sys"]
    seen.is_finalizing()
    assert slept == []
    now[0] += 30.0
    seen.is_finalizing()
    assert slept == [0.09] * rests


def test_serves_proxies_are_classes_of_these_names() -> None:
    actors: list[Any] = [ProxyActor, HAProxyManager]
    names = {f"ray::{each.__ray_metadata__.class_name}" for each in actors}
    assert names == set(ray_internals.PROXIES)
