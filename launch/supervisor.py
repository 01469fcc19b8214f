"""`ballast up`: starts every part, stays with them, starts again what dies, and ends all of it.

Ray is not imported here: it ends its driver's process when the cluster is gone for long.
"""

import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deployments.runtime.platform_health import PartHealth, PlatformHealth, State, TrainingHealth
from launch import bootstrap, cluster, own_processes, ray_logs, serve_config
from launch.cluster_session import ClusterSession, Lost
from launch.errors import (
    DiskTooSmallError,
    GaveUpError,
    LaunchError,
)
from launch.front.listening import open_port
from launch.front.process import FrontProcess
from launch.health_publisher import HealthPublisher
from launch.private_files import close_to_others
from launch.progress import Progress
from launch.redis_server import RedisServer
from launch.reports import DriverOrder
from launch.restart_budget import RestartBudget
from launch.run_record import OwnRun, Run, RunRecord, sweep_last_run
from launch.stop_signals import StopSignals
from launch.zygote.spawn import ZygoteProcess
from settings.environment import Settings

NEEDED_MB = 1500
ENDS_WITHIN_SECONDS = 10.0
MOST_SECOND_CHANCES = 2
# Three daemons take the whole cluster with them, and each may meet with an accident twice.
MOST_RESTARTS, RESTARTS_WITHIN_SECONDS = 6, 600.0

log = logging.getLogger(__name__)


class Supervisor:
    """One run of the platform on this machine."""

    def __init__(self, settings: Settings, config_file: Path, progress: Progress) -> None:
        self._settings = settings
        self._config_file = config_file
        self._progress = progress
        self._stop = StopSignals(progress.console.print)
        self._token = secrets.token_hex(8)
        self._budget = RestartBudget(MOST_RESTARTS, RESTARTS_WITHIN_SECONDS, time.monotonic)
        self._state: State = "starting"
        self._restarts = 0
        self._front: FrontProcess | None = None
        self._redis: RedisServer | None = None
        self._zygote: ZygoteProcess | None = None
        self._session: ClusterSession | None = None
        self.connected = ""
        """What was connected by itself, or why it was not, for the greeting."""
        self.url = f"http://{_reachable(settings.host)}:{settings.port}"

    def run(self, on_ready: Callable[[], None]) -> None:
        """Bring everything up, tell when it is, and wait to be ended."""
        close_to_others(self._settings.home)
        record = RunRecord(self._settings.home)
        record.claim()
        self._stop.listen()
        with ExitStack() as undo:
            undo.callback(record.release)
            undo.callback(record.forget)
            sweep_last_run(record, ENDS_WITHIN_SECONDS)
            self._check_machine()
            scratch = Path(tempfile.mkdtemp(prefix="ballast-"))
            undo.callback(shutil.rmtree, scratch, ignore_errors=True)
            os.environ[own_processes.TOKEN] = self._token
            run = Run(
                token=self._token,
                pid=os.getpid(),
                started=_own_start(),
                url=self.url,
                scratch=str(scratch),
                config_file=str(self._config_file),
            )
            own_run = OwnRun(record, run, time.time)
            undo.callback(own_processes.end, self._token, ENDS_WITHIN_SECONDS)
            undo.callback(self._stop.settle)
            self._start_front(undo, scratch)
            self._start_redis(undo, own_run)

            def on_first_ready() -> None:
                self._stop.settle()
                on_ready()

            self._keep_running(undo, scratch, own_run, on_first_ready)

    def _start_front(self, undo: ExitStack, scratch: Path) -> None:
        """Open the port first and close it last: between, clients always get an answer."""
        settings = self._settings
        settings.paths.logs.mkdir(parents=True, exist_ok=True)
        self._front = FrontProcess(cluster.front_folder(scratch), settings.paths.logs / "front.log")
        undo.callback(self._front.stop)
        self._front.start(settings.host, settings.port)

    @contextmanager
    def _step(self, own_run: OwnRun, name: str) -> Iterator[None]:
        own_run.enter(name)
        with self._progress.step(name):
            yield

    def _start_redis(self, undo: ExitStack, own_run: OwnRun) -> None:
        if self._settings.embedded_redis:
            paths = self._settings.paths
            with self._step(own_run, "Redis"):
                self._redis = RedisServer(
                    paths.redis,
                    paths.redis_socket,
                    maxmemory_bytes=self._settings.redis_memory_bytes,
                )
                undo.callback(self._redis.stop)
                self._redis.start()
        with self._step(own_run, "Configuration and keys"):
            bootstrap.prepare(self._settings)
        bootstrap.check_clickhouse(self._settings)
        self._connect_prometheus(own_run)

    def _connect_prometheus(self, own_run: OwnRun) -> None:
        """Connect the one that the environment names, where nothing else was ever connected."""
        if self._settings.prometheus_url is None:
            return
        # Brings numpy with it, which a start that needs none of it need not wait for.
        from launch.sources.from_environment import connect_named  # noqa: PLC0415 - see above

        with self._step(own_run, "PROMETHEUS_URL"):
            self.connected = connect_named(self._settings)

    def _keep_running(
        self, undo: ExitStack, scratch: Path, own_run: OwnRun, on_first_ready: Callable[[], None]
    ) -> None:
        """Start the cluster, and start it again when it is lost, a bounded number of times."""
        variables = self._environment(undo, scratch)
        publisher = HealthPublisher(self._settings, self._health)
        undo.callback(publisher.stop)
        publisher.start()
        while not self._stop.requested:
            try:
                self._live(scratch, variables, own_run, on_first_ready)
            except Lost as lost:
                try:
                    self._make_room_for_the_next(lost)
                except LaunchError:
                    ray_logs.keep(scratch, self._settings.paths.logs)
                    raise

    def _environment(self, undo: ExitStack, scratch: Path) -> dict[str, str]:
        variables = cluster.environment(scratch, self._settings.home, plain=self._settings.plain)
        if self._settings.forked_workers and not self._settings.plain:
            self._zygote = ZygoteProcess(scratch)
            undo.callback(self._zygote.stop)
            variables |= self._zygote.start(os.environ | variables)
        return variables

    def _live(
        self,
        scratch: Path,
        variables: dict[str, str],
        own_run: OwnRun,
        on_first_ready: Callable[[], None],
    ) -> None:
        order = DriverOrder(
            config_file=self._config_file.absolute(),
            scratch=scratch,
            url=self.url,
        )
        store = cluster.control_store(scratch / f"gcs-{self._restarts}")
        self._session = ClusterSession(self._stop, self._progress.console.print, time.monotonic)
        started = time.monotonic()

        def ready() -> None:
            first, self._state = self._state == "starting", "ready"
            if first:
                on_first_ready()
            else:
                took = time.monotonic() - started
                self._progress.console.print(f"Ballast answers again after {took:.0f} s.")
            own_run.finish()  # who waits for it finds all said

        own_run.enter("Ray cluster")
        try:
            self._session.run(
                order, os.environ | variables | store, own_run.enter, own_run.found, ready
            )
        finally:
            own_run.lose_cluster()

    def _make_room_for_the_next(self, lost: Lost) -> None:
        """Clear away what is left of a lost cluster, unless it has been lost too often."""
        if self._state == "starting":
            self._begin_once_more(lost)
            return
        if not self._budget.take():
            minutes = self._budget.within_s / 60
            raise GaveUpError(
                lost.why, self._budget.most, minutes, str(self._settings.paths.logs)
            ) from None
        self._state = "restarting"
        self._restarts += 1
        self._progress.console.print(
            f"[yellow]The Ray cluster was lost ({lost.why}); starting it again "
            f"({self._budget.used} of {self._budget.most} in "
            f"{self._budget.within_s / 60:.0f} minutes) ...",
            highlight=False,
        )
        own_processes.end(self._token, patience_s=0.5, spare=self._lasting)

    def _begin_once_more(self, lost: Lost) -> None:
        """Give Ray another chance: it gives itself 30 s, which a busy machine is too slow for."""
        if lost.came_up or self._restarts >= MOST_SECOND_CHANCES:
            raise lost.as_failed_start(self._settings.paths.logs) from None
        self._restarts += 1
        self._progress.console.print("[yellow]The Ray cluster did not start; trying again ...")
        own_processes.end(self._token, patience_s=0.5, spare=self._lasting)

    def _lasting(self) -> list[int]:
        """Name the processes that outlive a cluster."""
        front = self._front.pids if self._front is not None else []
        return [*front, *(part.pid for part in (self._redis, self._zygote) if part is not None)]

    def _health(self) -> PlatformHealth:
        """Tell how everything is; called by the publisher's thread."""
        parts = [
            PartHealth(name=name, state="running", pid=part.pid, restarts=part.restarts)
            for name, part in (
                ("front", self._front),
                ("redis", self._redis),
                ("zygote", self._zygote),
            )
            if part is not None
        ]
        session = self._session
        problems = list(session.problems().values()) if session is not None else []
        if self._state == "restarting":
            problems = ["the Ray cluster was lost and is being restarted", *problems]
        return PlatformHealth(
            written=time.time(),
            state="impaired" if problems and self._state == "ready" else self._state,
            problems=problems,
            parts=[*parts, *(session.parts() if session is not None else [])],
            deployments=session.deployments if session is not None else [],
            restarts=self._restarts,
            training=session.training if session is not None else TrainingHealth(),
        )

    def _check_machine(self) -> None:
        home = self._settings.home
        free_mb = shutil.disk_usage(home).free // 2**20
        if free_mb < NEEDED_MB:
            raise DiskTooSmallError(str(home), free_mb, NEEDED_MB)
        open_port(self._settings.host, self._settings.port).close()
        config = serve_config.read(self._config_file, self._settings.host, self._settings.port)
        serve_config.check_imports(config, self._config_file)
        warning = serve_config.check_fits(
            serve_config.demands(config), cluster.CPUS, self._config_file
        )
        if warning is not None:
            self._progress.console.print(f"[yellow]{warning}", highlight=False)


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound


def _own_start() -> float:
    return own_processes.started_at(os.getpid()) or 0.0
