"""Runs users' functions over columns: a program of its own, which imports nothing of the platform.

Each question and answer is a header and its bytes. Columns travel as numbers, and modules as the
text that was read and hashed: nothing is unpickled, and no file is read again.

A row's value is what the function gives for that row alone, since that is what a training set can
have of it. So where a call fails its rows are tried in halves, and of each call some rows are
computed again among others: a function that looks at other rows, at the clock or at what it was
called with before gives other bits then, and is refused.
"""

import json
import os
import resource
import signal
import struct
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

HEAD = struct.Struct("<QQ")
"""How many bytes of JSON follow, and how many others."""
MEMORY_BYTES = 4 * 1024**3
# Longer than whoever asks waits: it matters where that one is gone.
_SPARE_SECONDS = 5.0
_WITNESSES = 4
_SHOWN = 300

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Floats]


class UnusableError(Exception):
    """The function cannot be used for any row."""


class Loaded:
    """One function, and a few rows that it was called with."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._witnesses: dict[str, Floats] = {}
        self.failed_rows = 0
        self.first_failure = ""

    def column(self, columns: Columns, rows: int) -> Floats:
        """Compute a row each; NaN where the function fails for the row."""
        self.failed_rows, self.first_failure = 0, ""
        found = self._rows(columns, 0, rows)
        failed = self.failed_rows, self.first_failure
        self._compute_again(columns, found)
        self.failed_rows, self.first_failure = failed
        return found

    def _rows(self, columns: Columns, start: int, stop: int) -> Floats:
        if start == stop:
            return np.empty(0)
        try:
            return self._called({name: each[start:stop] for name, each in columns.items()})
        except UnusableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a user's function raises
            if stop - start > 1:
                middle = (start + stop) // 2
                halves = self._rows(columns, start, middle), self._rows(columns, middle, stop)
                return np.concatenate(halves)
            self.failed_rows += 1
            self.first_failure = self.first_failure or said(error)
            return np.full(1, np.nan)

    def _called(self, columns: Columns) -> Floats:
        rows = len(next(iter(columns.values())))
        # Copies: what it writes into a column is not there for the next one.
        with np.errstate(all="ignore"):
            found = np.asarray(self._function(**{n: each.copy() for n, each in columns.items()}))
        if found.shape != (rows,):
            raise UnusableError(f"gives the shape {found.shape} for {rows} rows, not ({rows},)")
        if found.dtype.kind not in "fiub":
            raise UnusableError(f"gives a column of {found.dtype}, not of numbers")
        return found.astype(np.float64)

    def _compute_again(self, columns: Columns, found: Floats) -> None:
        """Compute some rows again: one alone, and some beside rows of before in another order."""
        rows = len(found)
        alone = self._rows(columns, rows - 1, rows)
        some = [*dict.fromkeys([rows - 1, rows // 2, 0])]
        beside = {
            name: np.concatenate([self._witnesses.get(name, np.empty(0)), each[some]])
            for name, each in columns.items()
        }
        count = len(next(iter(beside.values())))
        again = self._rows(beside, 0, count)[count - len(some) :]
        once, twice = np.append(found[some], found[-1]), np.append(again, alone)
        if not np.array_equal(bits(once), bits(twice)):
            raise UnusableError(
                "gives another value for a row when it is called again with other rows: a "
                "feature may follow from the inputs of its own row only"
            )
        kept = slice(max(0, count - _WITNESSES), count)
        self._witnesses = {name: each[kept] for name, each in beside.items()}


def bits(values: Floats) -> npt.NDArray[np.uint64]:
    """Give what two values must share to be equal; all that is no number is alike."""
    return np.where(np.isnan(values), np.nan, values).view(np.uint64)


def said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_SHOWN]


class Modules:
    """The modules that were sent, each run once."""

    def __init__(self) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        self._functions: dict[tuple[str, str], Loaded] = {}

    def load(self, digest: str, name: str, text: bytes) -> None:
        module = types.ModuleType(name)
        module.__file__ = f"{name.replace('.', '/')}.py"
        exec(compile(text, module.__file__, "exec"), module.__dict__)  # noqa: S102 - the operator's
        self._modules[digest] = module

    def function(self, digest: str, name: str) -> Loaded:
        known = self._functions.get((digest, name))
        if known is None:
            found = getattr(self._modules[digest], name, None)
            if not callable(found):
                raise UnusableError("is not in its module")
            known = self._functions[digest, name] = Loaded(found)
        return known


def answer(modules: Modules, question: dict[str, Any], content: bytes) -> tuple[Any, bytes]:
    signal.setitimer(signal.ITIMER_REAL, question["seconds"] + _SPARE_SECONDS)
    try:
        if "function" not in question:
            modules.load(question["sha256"], question["module"], content)
            return {}, b""
        function = modules.function(question["sha256"], question["function"])
        names, rows = question["columns"], question["rows"]
        table = np.frombuffer(content, dtype="<f8").reshape(len(names), rows)
        column = function.column(dict(zip(names, table, strict=True)), rows)
        told = {"failed": function.failed_rows, "first": function.first_failure}
        return told, column.astype("<f8").tobytes()
    except UnusableError as broken:
        return {"broken": str(broken)}, b""
    except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit too
        return {"broken": f"raises {said(error)}"}, b""
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    modules = Modules()
    while head := questions.read(HEAD.size):
        said_bytes, content_bytes = HEAD.unpack(head)
        question = json.loads(questions.read(said_bytes))
        told, content = answer(modules, question, questions.read(content_bytes))
        packed = json.dumps(told).encode()
        answers.write(HEAD.pack(len(packed), len(content)) + packed + content)
        answers.flush()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a function prints or reads is not part of the conversation.
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for each in (0, 1, 2):
        os.dup2(nothing, each)
    serve(questions, answers)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
