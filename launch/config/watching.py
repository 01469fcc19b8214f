"""Shows a rollout while it goes on: redrawn in a terminal, a picture for each change in a log."""

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from launch.config.picture import picture

# They change each second by themselves, and nothing happened.
_TICKING = ("keys", "time", "step  ")


class Watching:
    """What `ballast config watch` shows."""

    def __init__(self, *, live: bool) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False) if live else None
        self._undo = ExitStack()
        self._last: list[str] = []

    def show(self, found: dict[str, Any]) -> None:
        lines = list(picture(found))
        if self._live is not None:
            self._live.update(Text("\n".join(lines)), refresh=True)
            return
        still = [line for line in lines if not line.startswith(_TICKING)]
        if still != self._last:
            self._last = still
            for line in lines:
                self._console.print(line)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._undo.enter_context(self._live)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.__exit__(kind, error, trace)
