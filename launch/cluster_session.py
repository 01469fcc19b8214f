"""One session of the Ray cluster: from the start of its driver until it ends or is lost."""

from collections.abc import Callable, Mapping
from pathlib import Path

from deployments.runtime.platform_health import DeploymentHealth, PartHealth, TrainingHealth
from launch.daemons import ClusterLostError, Daemons
from launch.driver_process import DriverProcess
from launch.errors import DriverFailedError, LaunchError, PartDiedError
from launch.placement import short
from launch.reports import DriverOrder
from launch.stop_signals import StopSignals

TURN_SECONDS = 0.2
PROBE_SECONDS = 1.0
SERVE_SILENT_AFTER_SECONDS = 6.0
DRIVER_SILENT_AFTER_SECONDS = 4.0


class Lost(Exception):  # noqa: N818 - it is news, and the supervisor decides whether it is an error
    """The cluster is gone; `why` is for people."""

    def __init__(self, why: str, failure: str = "", came_up: bool = True) -> None:
        super().__init__(why)
        self.why = why
        self.came_up = came_up  # False when not even Ray itself had started
        self._failure = failure

    def as_failed_start(self, logs: Path) -> LaunchError:
        if self._failure:
            return DriverFailedError(self._failure)
        return PartDiedError(f"The Ray cluster ({self.why})", str(logs))


class ClusterSession:
    """Watches the driver and the daemons that it started."""

    def __init__(
        self, stop: StopSignals, say: Callable[[str], object], clock: Callable[[], float]
    ) -> None:
        self._stop = stop
        self._say = say
        self._clock = clock
        self._driver = DriverProcess(clock)
        self._daemons: Daemons | None = None
        self._said: dict[str, str] = {}
        self._probed_at = clock()

    @property
    def deployments(self) -> list[DeploymentHealth]:
        return self._driver.deployments

    @property
    def training(self) -> TrainingHealth:
        return self._driver.training

    def run(
        self,
        order: DriverOrder,
        variables: Mapping[str, str],
        on_step: Callable[[str], None],
        on_cluster: Callable[[str], None],
        on_ready: Callable[[], None],
    ) -> None:
        """Return when a stop is requested, with everything ended; raise Lost when it is lost.

        `on_cluster` hears where the cluster's dashboard is.
        """
        self._driver.start(order, variables)
        announced, step, dashboard = False, "", ""
        try:
            while not self._stop.wait(TURN_SECONDS):
                self._look()
                if self._driver.step != step and not announced:
                    step = self._driver.step
                    on_step(step)
                if self._driver.dashboard != dashboard:
                    dashboard = self._driver.dashboard
                    on_cluster(dashboard)
                if self._driver.ready and not announced:
                    announced = True
                    on_ready()
            self._driver.stop()
        finally:
            if self._daemons is not None:
                self._daemons.end()

    def parts(self) -> list[PartHealth]:
        driver = PartHealth(
            name="driver",
            state="ended" if self._driver.ended else "silent" if self._driver_silent else "running",
            pid=self._driver.pid,
        )
        return [driver, *(self._daemons.health() if self._daemons is not None else [])]

    def problems(self) -> dict[str, str]:
        """Give what is wrong, by the part."""
        found = self._daemons.problems() if self._daemons is not None else {}
        if self._driver_silent:
            found["driver"] = (
                f"the driver has reported nothing for {self._driver.silent_s:.0f} s: the "
                "state of the deployments is not known"
            )
        elif self._driver.serve_silent_s > SERVE_SILENT_AFTER_SECONDS:
            found["serve"] = (
                "Serve's controller has not answered for "
                f"{self._driver.serve_silent_s:.0f} s: nothing is scaled or replaced"
            )
        return found | short([each for each in self.deployments if each.in_trouble])

    @property
    def _driver_silent(self) -> bool:
        return self._driver.silent_s > DRIVER_SILENT_AFTER_SECONDS

    def _look(self) -> None:
        if self._driver.failure:
            self._driver.stop(patience_s=10)
            came_up = bool(self._driver.daemons)
            raise Lost("it could not be started", self._driver.failure, came_up)
        if self._driver.ended:
            raise Lost("its driver process ended")
        try:
            self._tend()
        except ClusterLostError as lost:
            raise Lost(str(lost)) from None
        if self._clock() - self._probed_at >= PROBE_SECONDS:
            self._probed_at = self._clock()
            self._announce()

    def _tend(self) -> None:
        if self._daemons is None and self._driver.daemons:
            self._daemons = Daemons(self._driver.daemons, self._clock, self._say)
        if self._daemons is None:
            return
        self._daemons.tend()
        if self._clock() - self._probed_at >= PROBE_SECONDS:
            self._daemons.probe()

    def _announce(self) -> None:
        """Say what has become wrong, and what is well again, once each."""
        found = self.problems()
        for part, sentence in found.items():
            if part not in self._said:
                self._say(f"[yellow]{sentence}[/yellow]")
        for part in self._said.keys() - found.keys():
            self._say(f"[green]{part} works again[/green]")
        self._said = found
