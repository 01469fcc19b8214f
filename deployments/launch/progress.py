"""Shows what the start is at: bars on a terminal, one line a step in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as Bars,
)

# A log has room for a line now and then, not for each percent.
PLAIN_LINE_SECONDS = 1.0

Share = Callable[[float, str], None]


class Progress:
    """Writes to the error stream, so that the standard output holds only what is asked for."""

    def __init__(self) -> None:
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
        started = time.monotonic()
        if self._fancy:
            with self.console.status(f"{name} ..."):
                yield
        else:
            yield
        self._done(name, "", started)

    @contextmanager
    def bar(self, name: str) -> Iterator[Share]:
        """Show a step that tells which share of it is done."""
        started = time.monotonic()
        last = ""
        if not self._fancy:
            told = started

            def note(share: float, what: str) -> None:
                nonlocal last, told
                if what != last and time.monotonic() - told >= PLAIN_LINE_SECONDS:
                    told = time.monotonic()
                    self.console.print(f"  {name}: {share:.0%}  {what}", highlight=False)
                last = what

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

    def _done(self, name: str, what: str, started: float) -> None:
        took = time.monotonic() - started
        self.console.print(f"[green]✓[/green] {name:<24}{took:6.1f} s  {what}", highlight=False)
