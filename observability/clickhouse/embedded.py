"""ClickHouse inside this process (chDB): one owner of one folder.

Importing chDB costs over a second and a large library, so only the process that owns the folder
imports this module; the others reach the store through that owner.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import LifoQueue
from typing import Any, Self

from chdb.session import Session

from observability.clickhouse import arrow
from observability.clickhouse.binding import Params, bound, insert_target
from observability.errors import (
    ClickhouseUnavailableError,
    FolderTakenError,
    QueryRejectedError,
)

READING_SESSIONS = 3
# How often the engine looks how much memory its process has; by itself twenty times a second.
OPTIONS = "memory_worker_period_ms=500"

# chDB's classes carry no types.
_session: Callable[[str], Any] = Session


class EmbeddedClickhouse:
    """The engine over a folder; threads may share it.

    Reads and writes go through sessions of their own, so that neither a bulk insert nor the reading
    of a month's telemetry holds up a lookup.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._claim = _claim(path)
        self._reading: LifoQueue[Any] = LifoQueue()
        place = f"{path}?{OPTIONS}"
        try:
            for _ in range(READING_SESSIONS):
                self._reading.put(_session(place))
            self._writing = _session(place)
        except RuntimeError as error:
            os.close(self._claim)
            raise FolderTakenError(
                f"chDB cannot open {path}: {error}. One process opens one folder at a time."
            ) from error
        self._closed = False
        self._write_lock = threading.Lock()

    def query(self, sql: str, params: Params | None = None) -> list[dict[str, Any]]:
        return arrow.rows(self._ask(sql, params))

    def columns(self, sql: str, params: Params | None = None) -> arrow.Columns:
        return arrow.arrays(self._ask(sql, params))

    def insert(self, table: str, columns: Mapping[str, arrow.Column]) -> None:
        target = insert_target(table, columns)
        with self._write_lock:
            self._still_open()
            try:
                with self._writing.send_insert(target, "ArrowStream") as insert:
                    for piece in arrow.stream(columns):
                        insert.append(piece)
                    insert.finish()
            except RuntimeError as error:
                raise QueryRejectedError(f"insert into {table} failed: {error}") from error

    def execute(self, sql: str) -> None:
        with self._write_lock:
            self._still_open()
            try:
                self._writing.query(sql)
            except RuntimeError as error:
                raise QueryRejectedError(str(error)) from error

    def close(self) -> None:
        with self._write_lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(READING_SESSIONS):  # each comes back when its query is over
                self._reading.get().close()
            self._writing.close()
            os.close(self._claim)
        self._reading.put(None)  # whoever waits for a session hears that there is none any more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, sql: str, params: Params | None) -> bytes:
        session = self._reading.get()
        try:
            self._still_open()
            answer: bytes = session.query(sql, "ArrowStream", params=bound(params) or None).bytes()
        except RuntimeError as error:
            raise QueryRejectedError(str(error)) from error
        finally:
            self._reading.put(session)
        return answer

    def _still_open(self) -> None:
        if self._closed:
            raise ClickhouseUnavailableError("the embedded ClickHouse is closed")


def _claim(path: Path) -> int:
    """Lock the folder ourselves: the engine's own refusal only says "error initializing"."""
    claim = os.open(path / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.pread(claim, 32, 0).decode() or "unknown"
        os.close(claim)
        raise FolderTakenError(
            f"{path} is open in process {owner}: stop that process, or query it instead of "
            "opening the folder"
        ) from error
    os.ftruncate(claim, 0)
    os.pwrite(claim, str(os.getpid()).encode(), 0)
    return claim
