"""The record of a run: a lock that dies with its owner, and what others must know of it."""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import orjson

from launch import own_processes
from launch.errors import AlreadyRunningError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the platform."""

    token: str
    pid: int
    started: float  # the process's start in kernel ticks, so that a recycled id is not believed
    url: str
    scratch: str  # sockets and Ray's session; removed with the run
    dashboard: str = ""  # where `serve deploy -a` reaches the cluster
    config_file: str = "serve_config.yaml"
    ready: bool = False
    step: str = ""  # of a start under way
    step_since: float = 0.0  # seconds of the epoch

    @property
    def owner(self) -> str:
        return f"process {self.pid}, {self.url}"


class RunRecord:
    """Held by the process that runs the platform; read by the others."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "run"
        self._lock_file = self._folder / "lock"
        self._run_file = self._folder / "run.json"
        self._lock: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def claim(self) -> None:
        """Take the lock, or say who has it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while self._lock is None:
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                run = self.read()
                raise AlreadyRunningError(
                    run.owner if run else "another process, which is starting it"
                ) from None
            # An owner that left after the file was opened took its name away: a lock on it keeps
            # nobody out, so it is tried again on the file that has the name now.
            if self._is_named(lock):
                self._lock = lock
            else:
                os.close(lock)

    def _is_named(self, lock: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(lock), self._lock_file.stat())
        return False

    def write(self, run: Run) -> None:
        draft = self._run_file.with_suffix(".tmp")
        try:
            draft.touch(mode=0o600)
            draft.write_bytes(orjson.dumps(asdict(run), option=orjson.OPT_INDENT_2))
            draft.replace(self._run_file)
        finally:
            draft.unlink(missing_ok=True)

    def read(self) -> Run | None:
        try:
            content = orjson.loads(self._run_file.read_bytes())
            # A run of another release can still be ended: it needs its token, not every field.
            known = {name: content[name] for name in Run.__dataclass_fields__ if name in content}
            return Run(**known)
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
            return None

    def forget(self) -> None:
        """Remove the record of a run that is over."""
        self._run_file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what a killed run left here; a run that has begun meanwhile keeps its own."""
        if not self._folder.is_dir():
            return
        with suppress(AlreadyRunningError), self:
            self.claim()
            self.forget()

    def release(self) -> None:
        if self._lock is not None:
            # Unlinked while still held: whoever comes next makes a file of his own.
            self._lock_file.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


class OwnRun:
    """The run of this process: what its record says as the start goes on."""

    def __init__(self, record: RunRecord, run: Run, clock: Callable[[], float]) -> None:
        self._record = record
        self._run = run
        self._clock = clock
        record.write(run)

    def enter(self, step: str) -> None:
        """Note the step that begins now."""
        self._note(replace(self._run, step=step, step_since=self._clock()))

    def lose_cluster(self) -> None:
        """Note that the dashboard is gone: its port may be another platform's by now."""
        self._note(replace(self._run, dashboard=""))

    def found(self, dashboard: str) -> None:
        """Note where the cluster has its dashboard; one that is started again may have another."""
        self._note(replace(self._run, dashboard=dashboard))

    def finish(self) -> None:
        """Note that the start is over: it is ready."""
        self._note(replace(self._run, step="", step_since=0.0, ready=True))

    def _note(self, run: Run) -> None:
        """Write it down where that can be done: a full disk ends no platform that runs."""
        self._run = run
        try:
            self._record.write(run)
        except OSError as error:
            log.warning("The record of this run cannot be written, and is older now: %s", error)


def sweep_last_run(record: RunRecord, patience_s: float) -> list[int]:
    """End what a killed run left behind."""
    last = record.read()
    if last is None:
        return []
    left = own_processes.marked(last.token)
    own_processes.end(last.token, patience_s)
    if last.scratch:
        shutil.rmtree(last.scratch, ignore_errors=True)
    record.forget()
    return left
