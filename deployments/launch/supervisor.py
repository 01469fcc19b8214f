"""`ballast up`: starts every part in order, stays with them, and ends all of it."""

import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import ray
from redis.exceptions import RedisError

from config_store.settings import Settings
from deployments.history import history
from deployments.launch import bootstrap, cluster, own_processes, ray_messages, serve_config
from deployments.launch.ending import Ending
from deployments.launch.errors import (
    DiskTooSmallError,
    PartDiedError,
    PortTakenError,
    RedisAwayError,
)
from deployments.launch.private_files import close_to_others
from deployments.launch.progress import Progress
from deployments.launch.redis_server import RedisServer
from deployments.launch.run_record import Run, RunRecord
from deployments.launch.zygote.spawn import ZygoteProcess
from models.pointer import read_pointer
from models.registry import CHAMPION
from models.tail.naming import TAIL_MODEL

NEEDED_MB = 1500
DASHBOARD_PORT = 8265
ENDS_WITHIN_SECONDS = 10.0

log = logging.getLogger(__name__)


class Supervisor:
    """One run of the platform on this machine."""

    def __init__(self, settings: Settings, config_file: Path, progress: Progress) -> None:
        self._settings = settings
        self._config_file = config_file
        self._progress = progress
        self._ending = Ending(progress.console.print)
        self._token = secrets.token_hex(8)
        self._dashboard_port = free_port(DASHBOARD_PORT)
        self.url = f"http://{_reachable(settings.host)}:{settings.port}"

    def run(self, on_ready: Callable[[], None]) -> None:
        """Bring everything up, tell when it is, and wait to be ended."""
        close_to_others(self._settings.home)
        record = RunRecord(self._settings.home)
        record.claim()
        self._ending.listen()
        with ExitStack() as undo:
            undo.callback(record.release)
            undo.callback(record.forget)
            sweep_last_run(record)
            self._check_machine()
            scratch = Path(tempfile.mkdtemp(prefix="ballast-"))
            undo.callback(shutil.rmtree, scratch, ignore_errors=True)
            os.environ[own_processes.TOKEN] = self._token
            dashboard = f"http://127.0.0.1:{self._dashboard_port}"
            run = Run(self._token, os.getpid(), _own_start(), self.url, str(scratch), dashboard)
            record.write(run)
            undo.callback(own_processes.end, self._token, ENDS_WITHIN_SECONDS)
            undo.callback(self._ending.settle)
            self._start_parts(undo, scratch)
            self._ending.settle()
            if self._ending.wished:
                return
            on_ready()
            record.write(replace(run, ready=True))  # who waits for it finds all said
            self._train_forecasters(undo, scratch)
            self._stay()

    def _start_parts(self, undo: ExitStack, scratch: Path) -> None:
        steps: list[Callable[[], None]] = [
            lambda: self._start_redis(undo),
            lambda: self._start_cluster(undo, scratch),
            lambda: self._start_serving(undo, scratch),
        ]
        for step in steps:
            if self._ending.wished:
                return
            step()

    def _start_redis(self, undo: ExitStack) -> None:
        if self._settings.embedded_redis:
            paths = self._settings.paths
            with self._progress.step("Redis"):
                redis = RedisServer(
                    paths.redis,
                    paths.redis_socket,
                    maxmemory_bytes=self._settings.redis_memory_bytes,
                )
                undo.callback(redis.stop)
                redis.start()
        with self._progress.step("Configuration and keys"):
            self._prepare()

    def _prepare(self) -> None:
        try:
            bootstrap.prepare(self._settings)
        except (RedisError, OSError, ValueError) as error:
            if self._settings.embedded_redis:
                raise
            raise RedisAwayError(str(error)) from error

    def _start_cluster(self, undo: ExitStack, scratch: Path) -> None:
        # Serve takes seconds to import, and Ray's start is mostly waiting: side by side.
        threading.Thread(target=_serving, name="import serve", daemon=True).start()
        with self._progress.step("Ray cluster"):
            variables = cluster.environment(scratch, self._settings.home, any_free_port)
            if self._settings.forked_workers:
                zygote = ZygoteProcess(scratch)
                undo.callback(zygote.stop)
                variables |= zygote.start(os.environ | variables)
            undo.callback(cluster.stop)
            ray_messages.to_file(self._settings.paths.logs)
            cluster.start(scratch, variables, self._dashboard_port)
            self._ending.listen()  # Ray has put its own in their place

    def _start_serving(self, undo: ExitStack, scratch: Path) -> None:
        settings = self._settings
        history()  # it loads its engine while Serve starts
        serving = _serving()
        config = serving.checked(
            serve_config.read(self._config_file, settings.host, settings.port), self._config_file
        )
        undo.callback(_close_history)
        logs = str(scratch / "ray" / "session_latest" / "logs")
        trained = read_pointer(settings.paths.models, TAIL_MODEL, CHAMPION) is not None
        if trained:  # replicas start while the history catches up
            undo.callback(serving.stop)
            serving.deploy(config, logs)
        with self._progress.bar("Telemetry history") as bar:
            bootstrap.fill_history(bar)
        with self._progress.bar("Tail model") as bar:
            bootstrap.train_missing(settings, bar)
        if not trained:
            undo.callback(serving.stop)
            serving.deploy(config, logs)
        with self._progress.bar("Deployments") as bar:
            serving.await_running(lambda state: bar(0.5, state), logs)
            serving.await_answer(self.url, logs)
            bar(1.0, "Every deployment answers")

    def _train_forecasters(self, undo: ExitStack, scratch: Path) -> None:
        """Train what is missing beside the answers: simpler rules stand in until then."""
        # Brings the forecasters with it, which the start need not wait for.
        from deployments.launch.training.background import (  # noqa: PLC0415 - see above
            ForecasterTraining,
            missing,
        )

        absent = missing(self._settings)
        if not absent:
            return
        console, started = self._progress.console, time.monotonic()
        console.print(f"Training {len(absent)} forecasters in the background; simpler ones answer.")

        def over(code: int) -> None:
            took = time.monotonic() - started
            if code == 0:
                console.print(f"[green]✓[/green] Forecasters are trained: {took:.0f} s")
            elif not self._ending.wished:
                log_file = self._settings.paths.logs / "training.log"
                console.print(f"[yellow]The forecasters' training failed; see {log_file}")

        training = ForecasterTraining(self._settings, scratch)
        undo.callback(training.stop)
        training.start(self._progress.note, over)

    def _stay(self) -> None:
        while not self._ending.wait(1.0):
            if not ray.is_initialized() or not _head_lives():
                raise PartDiedError("The Ray cluster", "the session's logs under the temp folder")

    def _check_machine(self) -> None:
        home = self._settings.home
        free_mb = shutil.disk_usage(home).free // 2**20
        if free_mb < NEEDED_MB:
            raise DiskTooSmallError(str(home), free_mb, NEEDED_MB)
        if not is_free(self._settings.host, self._settings.port):
            raise PortTakenError(self._settings.host, self._settings.port, "BALLAST_PORT")
        config = serve_config.read(self._config_file, self._settings.host, self._settings.port)
        warning = serve_config.check_fits(serve_config.demands(config), cluster.CPUS)
        if warning is not None:
            self._progress.console.print(f"[yellow]{warning}", highlight=False)


def _serving() -> ModuleType:
    from deployments.launch import serving  # noqa: PLC0415 - imported while Ray starts

    return serving


def sweep_last_run(record: RunRecord) -> list[int]:
    """End what a killed run left behind."""
    last = record.read()
    if last is None:
        return []
    left = own_processes.marked(last.token)
    own_processes.end(last.token, ENDS_WITHIN_SECONDS)
    shutil.rmtree(last.scratch, ignore_errors=True)
    record.forget()
    return left


def is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(wanted: int) -> int:
    """Take the usual port where it is free, else any; two platforms may share a machine."""
    if is_free("127.0.0.1", wanted):
        return wanted
    return any_free_port()


def any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - compared, not bound


def _own_start() -> float:
    return own_processes.started_at(os.getpid()) or 0.0


def _close_history() -> None:
    """Move the last decisions into the column store and close it."""
    if ray.is_initialized():
        actor = history()
        ray.get(actor.drain_now.remote(), timeout=10)
        ray.get(actor.close.remote(), timeout=10)
        ray.kill(actor)


def _head_lives() -> bool:
    try:
        return bool(ray.nodes())
    except Exception:  # noqa: BLE001 - however it fails, the head is gone
        return False
