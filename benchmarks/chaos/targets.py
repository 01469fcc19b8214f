"""Every kind of process that a running platform has, and by what its command line is known."""

from collections.abc import Iterable
from dataclasses import dataclass

REPLICAS = ("gateway", "features", "tail", "forecasting", "anomaly", "optimization", "safety")


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of process."""

    name: str
    title: str  # a part of its command line that no other kind has
    minor: bool = False  # no request needs it: it takes every other turn, and may stay away
    may_be_killed: bool = True
    steady: int | None = None  # more of them come and go by themselves

    def among(self, processes: Iterable[tuple[int, str]]) -> list[int]:
        return sorted(pid for pid, command in processes if self.title in command)


TARGETS = (
    *(Target(name, f"ServeReplica:ballast:{name}") for name in REPLICAS),
    Target("history", "ray::History"),
    Target("controller", "ray::ServeController"),
    Target("proxy", "ray::ProxyActor"),
    Target("haproxy-manager", "ray::HAProxyManager"),
    Target("front", "launch.front"),
    # One serves; one that it has replaced ends with its last connection.
    Target("haproxy", "haproxy -", steady=1),
    Target("redis", "redis-server"),
    Target("raylet", "/raylet/raylet"),
    Target("gcs", "gcs_server"),
    Target("zygote", "launch.zygote"),
    # What Ray took for its worker, while the worker itself was forked of the zygote: as many as
    # there are workers, idle ones too.
    Target("stand-in", "default_worker.py", minor=True),
    Target("dashboard", "dashboard/dashboard.py"),
    Target("dashboard-module", "ray-dashboard-", minor=True),
    Target("dashboard-agent", "ray::DashboardAgent", minor=True),
    Target("runtime-env-agent", "ray::RuntimeEnvAgent", minor=True),
    # The process of low priority beside a replica; it begins with its first task.
    Target("helper", "deployments.runtime.helper.worker", minor=True),
    # Nothing on one machine stands above it: whoever kills it has ended the platform.
    Target("supervisor", "launch.cli up", may_be_killed=False),
)
BY_NAME = {target.name: target for target in TARGETS}
