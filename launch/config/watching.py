"""Shows a rollout while it goes on: redrawn in a terminal; in a log a line for what is new."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from textwrap import wrap
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from launch.command import printable
from launch.config.chart import look_lines
from launch.config.picture import full_picture, picture

Body = Mapping[str, Any]

# They change each second by themselves, and nothing happened.
_TICKING = ("keys", "time", "step  ")


class Watching:
    """What `ballast config watch` shows."""

    def __init__(self, *, live: bool) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False, soft_wrap=not live)
        self._live = Live(console=self._console, auto_refresh=False) if live else None
        self._undo = ExitStack()
        self._known: tuple[Body, Sequence[Body]] | None = None
        self._still: list[str] = []
        self._told: tuple[str, int, int] | None = None
        self._away = ""

    def show(self, found: Body, points: Sequence[Body]) -> None:
        self._away = ""
        if self._live is not None:
            self._known = found, points
            self._redraw(self._live)
            return
        lines = list(picture(found))
        still = [line for line in lines if not line.startswith(_TICKING)]
        if still != self._still:
            self._still = still
            self._print(lines)
        self._print(self._untold(found, points))

    def show_away(self, sentence: str) -> None:
        """Say that nothing new is known, below what was known last; once for each sentence."""
        if sentence == self._away:
            return
        self._away = sentence
        if self._live is not None:
            self._redraw(self._live)
        else:
            self._print([sentence])

    def _untold(self, found: Body, points: Sequence[Body]) -> Iterator[str]:
        """Tell of the looks that no line was printed of yet."""
        rollout = found["rollout"] or found["last"]
        for point in points:
            step = point["rollout"], point["step"]
            told = self._told[2] if self._told is not None and self._told[:2] == step else 0
            if point["number"] > told:
                self._told = (*step, point["number"])
                yield from look_lines(rollout, point)

    def _redraw(self, live: Live) -> None:
        width, height = self._console.size
        away = wrap(self._away, width)
        drawn = list[str]()
        if self._known is not None:
            drawn += full_picture(*self._known, width, height - 1 - len(away))
        text = Text("\n".join(map(printable, [*drawn, *away])), no_wrap=True, overflow="ellipsis")
        live.update(text, refresh=True)

    def _print(self, lines: Sequence[str] | Iterator[str]) -> None:
        for line in lines:
            self._console.print(printable(line))

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
