"""The process that stays: owns the port, Redis and the training, and watches the sources."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from watchfiles import PythonFilter, watch

from config_store.shipped import default_document
from launch import bootstrap, own_processes
from launch.dev.answering import Answering
from launch.errors import LaunchError
from launch.front.listening import open_port
from launch.private_files import close_to_others
from launch.redis_server import RedisServer
from launch.run_record import Run, RunRecord, sweep_last_run
from launch.stop_request import StopRequest
from launch.stop_signals import NUMBERS
from models.pointer import read_pointer
from models.registry import CHAMPION
from models.tail.naming import TAIL_MODEL
from settings.environment import Settings

ROOT = Path(__file__).parents[2]
ROOMS = (
    *("deployments", "features", "models", "safety", "access", "config_store", "observability"),
    *("launch", "settings"),
)
LOOK_MILLISECONDS = 500
ENDS_WITHIN_SECONDS = 10.0
TRAINING = "launch.dev.tail_model"
# All stages share one process, so that a stage which begins, or a debugger, holds up all others.
# How long a model may take stays as it is: without one a request shall not wait for its fallback.
PATIENCE = {"request_ms": 60_000.0, "features_ms": 10_000.0, "ledger_ms": 6_000.0}

GREETING = """\
{url}
  admin key   {key_file}
  docs        {url}/docs
A change under {root} restarts it. Ctrl-C ends it.
"""


class DevRun:
    """`answering` has begun to import: it is the one that is waited for."""

    def __init__(self, settings: Settings, token: str, answering: Answering) -> None:
        self._settings = settings
        self._stop = StopRequest()
        self._token = token
        self._answering = answering
        self.url = f"http://{settings.host}:{settings.port}"

    def run(self) -> None:
        for number in NUMBERS:
            signal.signal(number, lambda *_: self._stop.make())
        answering = self._answering
        with ExitStack() as undo:
            undo.callback(answering.stop)
            listening = self._claim(undo)
            self._start_redis(undo)
            undo.callback(answering.stop)  # once more: before Redis, where it got so far
            self._train_missing()
            answering.go(listening)
            say(GREETING.format(url=self.url, key_file=self._settings.paths.key_file, root=ROOT))
            self._follow(listening)

    def _claim(self, undo: ExitStack) -> socket.socket:
        """Take the home folder and the port, or say who has them."""
        home = self._settings.home
        close_to_others(home)
        record = RunRecord(home)
        record.claim()
        undo.callback(record.release)
        sweep_last_run(record, ENDS_WITHIN_SECONDS)
        listening = undo.enter_context(open_port(self._settings.host, self._settings.port))
        started = own_processes.started_at(os.getpid()) or 0.0
        record.write(Run(self._token, os.getpid(), started, self.url, scratch=""))
        undo.callback(record.forget)
        undo.callback(own_processes.end, self._token, ENDS_WITHIN_SECONDS)
        return listening

    def _start_redis(self, undo: ExitStack) -> None:
        settings = self._settings
        if settings.embedded_redis:
            redis = RedisServer(
                settings.paths.redis,
                settings.paths.redis_socket,
                maxmemory_bytes=settings.redis_memory_bytes,
            )
            undo.callback(redis.stop)
            redis.start()
        bootstrap.prepare(settings, default_document().with_deadlines(**PATIENCE))

    def _train_missing(self) -> None:
        """Begin to train where there is no model; what is left of it ends with this run."""
        if read_pointer(self._settings.paths.models, TAIL_MODEL, CHAMPION) is None:
            self._settings.paths.logs.mkdir(exist_ok=True)
            with (self._settings.paths.logs / "training.log").open("ab") as out:
                subprocess.Popen(
                    [sys.executable, "-m", TRAINING],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )

    def _follow(self, listening: socket.socket) -> None:
        """Start it anew whenever a source changes, until a stop is requested."""
        answering = self._answering
        folders = [ROOT / room for room in ROOMS]
        said = False
        for changes in watch(
            *folders,
            watch_filter=PythonFilter(),
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            if self._stop.made:
                return
            if changes:
                names = sorted({str(Path(path).relative_to(ROOT)) for _, path in changes})
                say(f"Changed: {', '.join(names)}")
                answering.restart(listening)
                said = False
            elif answering.ended is not None and not said:
                said = True
                say(f"It ended with code {answering.ended}; the next change starts it again")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - to whoever sits at the terminal


def main(token: str, answering: Answering) -> None:
    try:
        DevRun(Settings(), token, answering).run()
    except LaunchError as error:
        sys.exit(str(error))
    say("Ballast has ended: none of its processes runs any more.")
