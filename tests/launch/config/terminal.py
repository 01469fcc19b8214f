"""A command of ours in a terminal of its own, which a test reads and types into."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.waiting import PATIENCE_SECONDS, until

REPOSITORY = Path(__file__).parents[3]
ROWS, COLUMNS = 40, 110
CTRL_C = b"\x03"


# A session's first process that opens a terminal has it for its own: Ctrl-C reaches it.
_OPENS = 'exec "$@" <>"$0" >&0 2>&0'


class Terminal:
    """What the command has written so far, control sequences included."""

    def __init__(self, words: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._end, other = os.openpty()
        termios.tcsetwinsize(self._end, (ROWS, COLUMNS))
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            # As where a script has started the tests in the background: the command would ignore
            # it too, which no user's does.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [sys.executable, "-m", "launch.cli", *words]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _OPENS, os.ttyname(other), *command],
            cwd=REPOSITORY,
            env={**_without_size(environment), "TERM": "xterm"},
            start_new_session=True,
        )
        self._other = other  # while it is open, what the command wrote last can be read
        self.text = ""

    async def shows(self, words: str) -> None:
        await until(lambda: words in self.text or self._is_over(words))

    def press(self, key: bytes) -> None:
        os.write(self._end, key)

    async def ends(self) -> int:
        """Give the exit code, once all that was written last is read."""
        code = await asyncio.to_thread(self._process.wait, PATIENCE_SECONDS)
        readable = select.poll()  # select() knows no descriptor above a thousand
        readable.register(self._end, select.POLLIN)
        while readable.poll(0):
            self.read()
        return code

    def _is_over(self, words: str) -> bool:
        assert self._process.poll() is None, f"it ended, and never showed {words!r}: {self.text}"
        return False

    def read(self) -> None:
        self.text += os.read(self._end, 65536).decode(errors="replace")

    def begin(self) -> None:
        asyncio.get_running_loop().add_reader(self._end, self.read)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        self._process.kill()
        self._process.wait()
        os.close(self._end)
        os.close(self._other)


def _without_size(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name not in {"COLUMNS", "LINES"}}


@asynccontextmanager
async def in_terminal(*words: str) -> AsyncIterator[Terminal]:
    terminal = Terminal(words, os.environ)
    terminal.begin()
    try:
        yield terminal
    finally:
        terminal.close()
