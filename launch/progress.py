"""Shows what the start is at: bars on a terminal, one line a step in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as Bars,
)

# A log has room for a line now and then, not for each percent.
PLAIN_LINE_SECONDS = 1.0
# A log that says nothing for longer looks like a start that hangs.
REPEATED_EVERY_SECONDS = 15.0

Share = Callable[[float, str], None]


class Progress:
    """Writes to the error stream, so that the standard output holds only what is asked for."""

    def __init__(
        self,
        on_step: Callable[[str], None] = lambda _name: None,
        repeated_every_s: float = REPEATED_EVERY_SECONDS,
    ) -> None:
        self._on_step = on_step
        self._repeated_every_s = repeated_every_s
        self.console = Console(stderr=True, soft_wrap=True)  # a sentence is one line in a log
        self._fancy = sys.stderr.isatty()
        self._noted = ""

    def note(self, share: float, what: str) -> None:
        """Tell how far something in the background is, a line each time it does something new."""
        if what != self._noted:
            self._noted = what
            self.console.print(f"[dim]  {share:4.0%}  {what}", highlight=False)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show a step whose length nobody knows."""
        self._on_step(name)
        started = time.monotonic()
        if self._fancy:
            with self.console.status(f"{name} ..."):
                yield
        else:
            with self._repeated(started, lambda: f"{name}:"):
                yield
        self._done(name, "", started)

    @contextmanager
    def wait(self, what: str) -> Iterator[None]:
        """Say what is waited for, as long as it is; nothing of it stays on a terminal."""
        if self._fancy:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Bars(*columns, console=self.console, transient=True) as bars:
                bars.add_task(what, total=None)
                yield
        else:
            with self._repeated(time.monotonic(), lambda: f"{what}:"):
                yield

    @contextmanager
    def bar(self, name: str) -> Iterator[Share]:
        """Show a step that tells which share of it is done."""
        self._on_step(name)
        started = time.monotonic()
        last = ""
        share_done = 0.0
        if not self._fancy:
            told = started

            def note(share: float, what: str) -> None:
                nonlocal last, told, share_done
                if what != last and time.monotonic() - told >= PLAIN_LINE_SECONDS:
                    told = time.monotonic()
                    self.console.print(f"  {name}: {share:.0%}  {what}", highlight=False)
                last, share_done = what, share

            with self._repeated(started, lambda: f"{name}: {share_done:.0%}  {last}"):
                yield note
        else:
            columns = (TextColumn(f"{name:<22}"), BarColumn(), TextColumn("{task.description}"))
            with Bars(*columns, TimeElapsedColumn(), console=self.console, transient=True) as bars:
                task = bars.add_task("", total=1.0)

                def move(share: float, what: str) -> None:
                    nonlocal last
                    last = what
                    bars.update(task, completed=share, description=what)

                yield move
        self._done(name, last, started)

    @contextmanager
    def _repeated(self, started: float, line: Callable[[], str]) -> Iterator[None]:
        """Print a line now and then while a step lasts, with the seconds that it has taken."""
        over = threading.Event()

        def repeat() -> None:
            while not over.wait(self._repeated_every_s):
                took = time.monotonic() - started
                said = f"  {line()}  {took:.0f} s so far"
                self.console.print(said, highlight=False, markup=False)

        thread = threading.Thread(target=repeat, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _done(self, name: str, what: str, started: float) -> None:
        took = time.monotonic() - started
        self.console.print(f"[green]✓[/green] {name:<24}{took:6.1f} s  {what}", highlight=False)
