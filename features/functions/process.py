"""The process in which users' functions run: ended where it takes too long, and begun again.

It holds none of the platform's secrets: its environment is empty, and no connection is open in it.
That is no wall around the code, which runs as the platform's user.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import numpy as np

from features.errors import FunctionFailedError
from features.functions import child
from features.functions.child import HEAD, Floats

# To start Python, import numpy and what the module imports.
LOADING_SECONDS: Final = 30.0
# One thread each: otherwise numpy's libraries take as many as there are processors.
_ENVIRONMENT: Final = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")


class FunctionProcess:
    """One process; called from threads, one question at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: set[str] = set()
        self._closed = False

    def column(
        self, path: str, digest: str, text: bytes, columns: Mapping[str, Floats], seconds: float
    ) -> tuple[Floats, int, str]:
        """Compute a column; gives it, how many rows failed, and why the first did.

        Raises FunctionFailedError where there is none.
        """
        rows = len(next(iter(columns.values())))
        content = b"".join(np.ascontiguousarray(each, "<f8").tobytes() for each in columns.values())
        question = {
            "sha256": digest,
            "function": path.partition(":")[2],
            "columns": [*columns],
            "rows": rows,
        }
        with self._turn:
            self._load(path, digest, text)
            told, column = self._ask(path, question, content, seconds)
        return np.frombuffer(column, "<f8"), told["failed"], told["first"]

    def load(self, path: str, digest: str, text: bytes) -> None:
        """Run a module ahead of its first question; raises FunctionFailedError."""
        with self._turn:
            self._load(path, digest, text)

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._end()

    def _load(self, path: str, digest: str, text: bytes) -> None:
        if self._closed:
            raise FunctionFailedError(path, "is not called any more: the platform stops")
        if self._process is None or digest not in self._loaded:
            loading = {"sha256": digest, "module": path.partition(":")[0]}
            self._ask(path, loading, text, LOADING_SECONDS)
            self._loaded.add(digest)

    def _ask(
        self, path: str, question: Mapping[str, object], content: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        process = self._process or self._start()
        slow = threading.Event()

        def end() -> None:
            slow.set()
            _kill(process)

        watch = threading.Timer(seconds, end)
        watch.start()
        try:
            told, answer = _exchange(process, {**question, "seconds": seconds}, content)
        except (OSError, EOFError):
            self._end()
            if slow.is_set():
                reason = f"took longer than {seconds:g} s"
                raise FunctionFailedError(path, reason, is_slow=True) from None
            raise FunctionFailedError(path, "ended its process", is_slow=True) from None
        finally:
            watch.cancel()
        if "broken" in told:
            raise FunctionFailedError(path, told["broken"])
        return told, answer

    def _start(self) -> subprocess.Popen[bytes]:
        self._loaded = set()
        self._process = subprocess.Popen(
            [sys.executable, "-I", child.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,  # what a function starts is of its group
        )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            _kill(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # nobody reads what was still to be sent
                        pipe.close()
            process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it forked: a child has its pipes too, and they would not end with it."""
    if process.returncode is None:  # its number is its own as long as nobody has waited for it
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _exchange(
    process: subprocess.Popen[bytes], question: Mapping[str, object], content: bytes
) -> tuple[dict[str, Any], bytes]:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    packed = json.dumps(question).encode()
    process.stdin.write(HEAD.pack(len(packed), len(content)) + packed + content)
    process.stdin.flush()
    told_bytes, content_bytes = HEAD.unpack(_read(process, HEAD.size))
    told: dict[str, Any] = json.loads(_read(process, told_bytes))
    return told, _read(process, content_bytes)


def _read(process: subprocess.Popen[bytes], count: int) -> bytes:
    found = process.stdout.read(count) if process.stdout is not None else b""
    if len(found) < count:
        raise EOFError
    return found
