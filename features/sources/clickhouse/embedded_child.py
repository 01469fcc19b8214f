"""Opens a folder of chDB and answers what comes in, a line of JSON each, until nothing comes."""

import os
import sys
from collections.abc import Callable
from typing import Any

import orjson
from chdb.session import Session

from features.sources.clickhouse.embedded import HEAD
from features.sources.clickhouse.statement import quoted

# chDB's classes carry no types.
_open: Callable[[str], Any] = Session


class Folder:
    """A folder that stays open, and how each question is asked of it."""

    def __init__(self, path: str, database: str, settings: dict[str, str]) -> None:
        self._path = path
        self._kept = _open(path)  # the engine ends with its last session
        told = ", ".join(f"{name} = '{text}'" for name, text in settings.items())
        self._first = (f"USE {quoted(database)}", f"SET {told}")

    def answered(self, question: dict[str, Any]) -> tuple[bool, bytes]:
        """Give rows as an ArrowStream, or the engine's reason against it."""
        # A session of its own: after an answer that was too large, one gives rows of that one.
        session = _open(self._path)
        try:
            for each in self._first:
                session.query(each)
            found = session.query(question["sql"], "ArrowStream", params=question["params"] or None)
            return True, found.bytes()
        except Exception as error:  # noqa: BLE001 - whatever the engine says is the answer
            return False, str(error).encode()
        finally:
            session.close()


def _serve(folder: Folder) -> None:
    # What the engine prints is not to be read as an answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        is_answer, content = folder.answered(orjson.loads(line))
        out.write(HEAD.pack(is_answer, len(content)) + content)
        out.flush()


if __name__ == "__main__":
    _serve(Folder(sys.argv[1], sys.argv[2], orjson.loads(sys.argv[3])))
