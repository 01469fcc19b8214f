"""The policy as Serve asks it: with Serve's contexts, its delays and its bounds."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.cloudpickle
import yaml
from ray.serve import autoscaling_policy
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

from deployments.runtime.autoscaling import pending, policy
from deployments.runtime.autoscaling.pending import ON_ITS_WAY_SECONDS, Pending
from deployments.runtime.autoscaling.policy import NODES_COME_VARIABLE, by_waiting
from deployments.runtime.autoscaling.room import ROOM
from deployments.runtime.autoscaling.signals import BUSY, RESERVED, SPARE, WAIT, wait_for

ROOT = Path(__file__).parents[4]
(SHIPPED,) = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"]
CPUS = 0.2


def points(*values: float) -> list[Any]:
    return [SimpleNamespace(timestamp=float(at), value=value) for at, value in enumerate(values)]


def context(
    name: str,
    *replicas: dict[str, float],
    wanted: int | None = None,
    least: int = 1,
    most: int = 8,
) -> AutoscalingContext:
    """Give what Serve knows of a deployment whose replicas told this, again and again."""
    usual = {BUSY: 0.05, WAIT: 0.0, SPARE: 1.0, RESERVED: CPUS}
    told = [usual | each for each in replicas]
    names = {figure for each in told for figure in each}
    figures = {
        figure: {
            f"{name}#{at}": points(*[each[figure]] * 4)
            for at, each in enumerate(told)
            if figure in each
        }
        for figure in names
    }
    return AutoscalingContext(
        deployment_id=name,
        deployment_name=name,
        app_name="ballast",
        current_num_replicas=len(replicas),
        target_num_replicas=len(replicas) if wanted is None else wanted,
        running_replicas=[],
        total_num_requests=0.0,
        total_queued_requests=0.0,
        aggregated_metrics=None,
        raw_metrics=lambda: figures,
        capacity_adjusted_min_replicas=least,
        capacity_adjusted_max_replicas=most,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=None,
        config=scaling(),
    )


def asked(*contexts: AutoscalingContext) -> dict[str, int]:
    wanted, _ = by_waiting({each.deployment_name: each for each in contexts})
    return wanted


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "PENDING", Pending())


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give the CPUs that are free on each node, to be changed."""
    cpus = [1.0]
    monkeypatch.setattr(ROOM, "free_cpus", lambda: list(cpus))
    monkeypatch.delenv(NODES_COME_VARIABLE, raising=False)
    return cpus


def test_who_has_a_core_s_work_gets_another_replica(free: list[float]) -> None:
    assert asked(context("tail", {BUSY: 0.95}), context("safety", {BUSY: 0.4})) == {
        "tail": 2,
        "safety": 1,
    }
    assert free == [1.0]


def test_what_waits_in_the_gateway_s_lanes_is_seen(free: list[float]) -> None:
    """Of no use is that the tail is far from a core of its own: batches reach it one by one."""
    gateway = context("gateway", {wait_for("tail"): 0.2, wait_for("safety"): 0.004})
    tail, safety = context("tail", {BUSY: 0.3}), context("safety", {BUSY: 0.3})
    assert asked(gateway, tail, safety) == {"gateway": 1, "tail": 2, "safety": 1}
    assert free


def test_one_gateway_whose_rows_wait_is_enough(free: list[float]) -> None:
    idle, busy = {wait_for("tail"): 0.0}, {wait_for("tail"): 0.2}
    assert asked(context("gateway", idle, busy), context("tail", {BUSY: 0.3}))["tail"] == 2
    assert free


def test_who_comes_late_to_what_is_due_gets_another_replica(free: list[float]) -> None:
    assert asked(context("gateway", {BUSY: 0.5, WAIT: 0.08})) == {"gateway": 2}
    assert free


def test_who_rests_gives_one_back(free: list[float]) -> None:
    assert asked(context("tail", {}, {}, {})) == {"tail": 2}
    assert free


def test_without_figures_nothing_changes(free: list[float]) -> None:
    silent = context("tail")
    silent.current_num_replicas = silent.target_num_replicas = 1
    assert asked(silent) == {"tail": 1}
    assert free


def test_where_nothing_can_change_no_figure_is_read(free: list[float]) -> None:
    """Serve adds them up when they are asked for, several times a second."""
    held = context("tail", {BUSY: 0.95}, most=1)
    assert asked(held, context("safety", {}, most=1)) == {"tail": 1, "safety": 1}
    assert "raw_metrics" not in vars(held)
    assert asked(held, context("gateway", {BUSY: 0.95})) == {"tail": 1, "gateway": 2}
    assert free


def test_an_old_figure_does_not_count(free: list[float]) -> None:
    tail = context("tail", {BUSY: 0.95})
    tail.raw_metrics[BUSY]["tail#0"] = points(0.95, 0.95, 0.95, 0.1, 0.1)
    assert asked(tail) == {"tail": 1}
    assert free


def test_nobody_is_asked_for_that_finds_no_place(free: list[float]) -> None:
    free[:] = [CPUS / 2, CPUS / 2]  # together enough, and on no node
    assert asked(context("tail", {BUSY: 1.0})) == {"tail": 1}
    free[:] = [0.0, CPUS]
    assert asked(context("tail", {BUSY: 1.0})) == {"tail": 2}


def test_the_last_place_goes_to_whom_others_wait_for_longest(free: list[float]) -> None:
    free[:] = [CPUS]
    found = asked(
        context("tail", {BUSY: 1.0, WAIT: 0.1}),
        context("anomaly", {BUSY: 0.9, WAIT: 0.3}),
        context("safety", {BUSY: 1.0, WAIT: 0.2}),
    )
    assert found == {"tail": 1, "anomaly": 2, "safety": 1}


def test_nobody_is_added_where_the_processors_are_at_their_limit(free: list[float]) -> None:
    assert asked(context("tail", {BUSY: 0.95, WAIT: 1.0, SPARE: 0.05})) == {"tail": 1}
    assert free


def test_beyond_its_bound_a_deployment_takes_no_place_from_others(free: list[float]) -> None:
    free[:] = [CPUS]
    full = context("tail", {BUSY: 1.0, WAIT: 5.0}, most=1)
    assert asked(full, context("safety", {BUSY: 1.0})) == {"tail": 1, "safety": 2}


def test_where_nodes_come_replicas_are_asked_for_without_a_place(
    free: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    free[:] = []
    monkeypatch.setenv(NODES_COME_VARIABLE, "1")
    assert asked(context("tail", {BUSY: 1.0, SPARE: 0.0})) == {"tail": 2}


def test_where_nobody_says_which_cpus_are_free_nothing_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ROOM, "free_cpus", lambda: None)
    monkeypatch.delenv(NODES_COME_VARIABLE, raising=False)
    assert asked(context("tail", {BUSY: 1.0}), context("safety", {}, {})) == {
        "tail": 1,
        "safety": 1,
    }


BUSY_PAIR = ({BUSY: 0.8}, {BUSY: 0.8})


def test_what_finds_no_place_is_given_up_at_once_and_it_is_said(
    free: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    free[:] = [CPUS / 2, CPUS / 2]
    asked(context("tail", *BUSY_PAIR))
    policy.log.addHandler(caplog.handler)
    try:
        late = context("tail", *BUSY_PAIR, wanted=5)
        assert asked(late) == {"tail": 2}
    finally:
        policy.log.removeHandler(caplog.handler)
    assert late.config.downscale_delay_s == 0
    assert "tail: 3 of 5 replicas find no place, for no node has 0.2 CPU free" in caplog.text


def test_what_finds_a_place_now_is_waited_for(free: list[float]) -> None:
    free[:] = [2 * CPUS]
    asked(context("tail", *BUSY_PAIR))
    assert asked(context("tail", *BUSY_PAIR, wanted=5)) == {"tail": 4}
    late = context("tail", *BUSY_PAIR, wanted=4)
    assert asked(late) == {"tail": 4}
    assert late.config == scaling()


def test_what_an_operator_asks_for_is_waited_for_without_a_place(free: list[float]) -> None:
    free[:] = [0.0]
    asked(context("tail", *BUSY_PAIR))
    assert asked(context("tail", *BUSY_PAIR, wanted=8, least=4)) == {"tail": 4}
    assert asked(context("tail", *BUSY_PAIR, wanted=4, least=4)) == {"tail": 4}


@pytest.mark.parametrize("variable", ["1", ""])
def test_without_knowing_that_there_is_no_place_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Nobody says what is free, or a node is about to come."""
    monkeypatch.setattr(ROOM, "free_cpus", lambda: [0.0] if variable else None)
    monkeypatch.setenv(NODES_COME_VARIABLE, variable)
    asked(context("tail", *BUSY_PAIR))
    assert asked(context("tail", *BUSY_PAIR, wanted=3)) == {"tail": 3}


def test_a_lower_bound_that_was_lowered_holds_nobody_back(free: list[float]) -> None:
    assert free
    asked(context("tail", {}, {}, {}, least=3), context("safety", {}, {}, {}))
    tail, safety = context("tail", {}, {}, {}), context("safety", {}, {}, {})
    assert asked(tail, safety) == {"tail": 1, "safety": 2}
    assert tail.config.downscale_delay_s == 0
    assert safety.config == scaling()


def test_by_as_much_as_the_bound_was_lowered_and_no_more(free: list[float]) -> None:
    assert free
    asked(context("tail", {}, {}, {}, {}, least=2))
    assert asked(context("tail", {}, {}, {}, {})) == {"tail": 3}


def test_a_place_is_kept_for_those_on_their_way(free: list[float]) -> None:
    """It may not be known yet that they have taken it."""
    free[:] = [CPUS]
    both = context("tail", {BUSY: 1.0}), context("safety", {BUSY: 0.9})
    assert asked(*both) == {"tail": 2, "safety": 1}
    later = context("tail", {BUSY: 1.0}, wanted=2), context("safety", {BUSY: 0.9})
    assert asked(*later) == {"tail": 2, "safety": 1}
    free[:] = [2 * CPUS]
    assert asked(*later) == {"tail": 2, "safety": 2}


@dataclass
class Clock:
    now: float = 0.0

    def time(self) -> float:
        return self.now


@dataclass
class Simulated:
    """One deployment under Serve's delays and bounds.

    A replica runs some seconds after it was asked for, if there is a place.
    """

    clock: Clock
    cores: Callable[[float], float]  # of work, by the time
    places: int = 8
    events: Mapping[float, Callable[["Simulated"], None]] = field(default_factory=dict)
    bounds: tuple[int, int] = (1, 8)
    running: int = 1
    wanted: int = 1
    state: dict[str, Any] = field(default_factory=dict)
    history: list[tuple[float, int]] = field(default_factory=list)
    _ready_at: float = 0.0

    def free(self) -> list[float]:
        return [CPUS * max(self.places - max(self.running, self.wanted), 0)]

    def deploy(self, least: int, most: int) -> None:
        """Change the bounds, as an operator does by the file: Serve keeps them at once."""
        self.bounds = (least, most)
        self._want(self.wanted)

    def kill(self, replicas: int = 1) -> None:
        self.running -= replicas
        self._ready_at = self.clock.now + 3.0

    def lose_place(self) -> None:
        self.places -= 1

    def _want(self, decided: int) -> None:
        decided = min(max(decided, self.bounds[0]), self.bounds[1])
        if decided != self.wanted:
            self.wanted, self._ready_at = decided, self.clock.now + 3.0
            self.history.append((self.clock.now, decided))

    def ticks(self, until: float) -> Iterator[None]:
        while self.clock.now < until:
            self.clock.now += 0.25
            if (event := self.events.get(self.clock.now)) is not None:
                event(self)
            placed = min(self.wanted, self.places)
            if self.running < placed and self.clock.now >= self._ready_at:
                self.running = placed
            self.running = min(self.running, placed)
            yield

    def told(self) -> list[dict[str, float]]:
        share = self.cores(self.clock.now) / max(self.running, 1)
        wait = 0.4 if share > 1 else 0.002
        return [{BUSY: min(share, 1.0), WAIT: wait}] * self.running

    def run(self, decide: Any, until: float) -> None:
        for _ in self.ticks(until):
            least, most = self.bounds
            seen = context("tail", *self.told(), wanted=self.wanted, least=least, most=most)
            seen.policy_state = self.state
            decided, states = decide({"tail": seen})
            self.state = states["tail"]
            self._want(decided["tail"])


@cache
def scaling() -> AutoscalingConfig:
    tail = next(each for each in SHIPPED["deployments"] if each["name"] == "tail")
    return AutoscalingConfig(**tail["autoscaling_config"])


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Simulated]:
    def run(cores: Callable[[float], float], until: float, **more: Any) -> Simulated:
        clock = Clock()
        found = Simulated(clock, cores, **more)
        monkeypatch.setattr(pending, "PENDING", Pending(clock.time))
        monkeypatch.setattr(autoscaling_policy, "time", clock)
        monkeypatch.setattr(ROOM, "free_cpus", found.free)
        monkeypatch.delenv(NODES_COME_VARIABLE, raising=False)
        found.run(autoscaling_policy._apply_app_level_autoscaling_config(by_waiting), until)
        return found

    return run


def test_replicas_come_soon_and_go_slowly(simulated: Callable[..., Simulated]) -> None:
    found = simulated(lambda now: 1.9 if 30 <= now < 90 else 0.1, until=400.0)
    counts = [count for _, count in found.history]
    assert counts == [2, 3, 2, 1]
    first, second, third, last = (at for at, _ in found.history)
    assert 30 <= first <= 36
    assert second <= 45
    assert third >= 90 + scaling().downscale_delay_s
    assert last >= third + scaling().downscale_delay_s


def test_a_short_burst_adds_nothing(simulated: Callable[..., Simulated]) -> None:
    assert simulated(lambda now: 2.0 if 30 <= now < 33 else 0.1, until=120.0).history == []


@pytest.mark.parametrize("cores", [0.3, 0.8, 1.2, 1.75, 3.0])
def test_under_a_steady_load_the_number_settles(
    cores: float, simulated: Callable[..., Simulated]
) -> None:
    found = simulated(lambda _: cores, until=1_200.0)
    assert all(at < 60 for at, _ in found.history)
    assert [count for _, count in found.history] == sorted(count for _, count in found.history)


def test_no_more_come_than_there_are_places(simulated: Callable[..., Simulated]) -> None:
    found = simulated(lambda _: 9.0, until=300.0, places=3)
    assert [count for _, count in found.history] == [2, 3]


AFTER_500 = {10.0: lambda each: each.deploy(500, 500), 60.0: lambda each: each.deploy(1, 8)}


def test_what_is_left_of_500_is_gone_at_once(simulated: Callable[..., Simulated]) -> None:
    found = simulated(lambda _: 0.1, until=200.0, places=4, events=AFTER_500)
    assert found.history == [(10.0, 500), (60.0, 8), (60.0, 1)]


def test_of_500_those_stay_that_have_work(simulated: Callable[..., Simulated]) -> None:
    found = simulated(lambda now: 0.1 if now < 10 else 3.6, until=200.0, places=4, events=AFTER_500)
    assert found.history == [(10.0, 500), (60.0, 8), (60.0, 4)]
    assert found.running == 4


@pytest.mark.parametrize("killed", [1, 2])
def test_a_killed_one_comes_back_to_its_own_place(
    killed: int, simulated: Callable[..., Simulated]
) -> None:
    events = {100.0: lambda each: each.kill(killed)}
    found = simulated(lambda _: 1.6, until=300.0, places=2, events=events)
    assert [count for _, count in found.history] == [2]
    assert found.running == 2


def test_the_only_one_comes_back(simulated: Callable[..., Simulated]) -> None:
    events = {100.0: lambda each: each.kill()}
    found = simulated(lambda _: 0.0, until=200.0, places=1, events=events)
    assert (found.history, found.running) == ([], 1)


def test_one_whose_node_was_lost_is_given_up(simulated: Callable[..., Simulated]) -> None:
    events = {100.0: lambda each: each.lose_place()}
    found = simulated(lambda _: 1.6, until=300.0, places=2, events=events)
    assert [count for _, count in found.history] == [2, 1]
    assert 0 <= found.history[-1][0] - 100 - ON_ITS_WAY_SECONDS <= 1


def test_serve_takes_the_policy_that_the_shipped_file_names() -> None:
    named = AutoscalingPolicy(**SHIPPED["autoscaling_policy"])
    assert named.get_policy().__name__ == "by_waiting"


def test_the_policy_works_in_the_controller_which_has_imported_nothing_of_it() -> None:
    """Serve hands its module over by value; what that imports is imported there by name."""
    definition = AutoscalingPolicy(**SHIPPED["autoscaling_policy"]).get_serialized_policy_def()
    assert definition is not None
    program = (
        "import sys, ray.cloudpickle\n"
        "policy = ray.cloudpickle.loads(bytes.fromhex(sys.argv[1]))\n"
        "print(policy({}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, definition.hex()],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "({}, {})\n", done.stderr
    assert ray.cloudpickle.loads(definition)({}) == ({}, {})
