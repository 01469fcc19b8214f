"""Computes features by users' functions, and tells how each fares."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from features.definitions.definition import Definition, Function
from features.errors import FunctionFailedError
from features.functions.child import Floats
from features.functions.kept import KeptModules
from features.functions.process import FunctionProcess
from settings.frozen import Frozen

# As many rows at a time as may take the seconds that a function has.
ROWS = 4096
# A function that was not done in time is not called for a while, since others wait for it: each
# time for twice as long.
SPARED_SECONDS, LONGEST_SPARED_SECONDS = 60.0, 3600.0


class FunctionHealth(Frozen):
    """How a function that computes a feature fares."""

    state: Literal["ok", "rows missing", "failing"] = Field(
        description="rows missing: for some entities it gives no finite number; failing: the "
        "feature is missing altogether."
    )
    why: str = ""
    since: float = Field(description="Since when it is so, epoch seconds.")


class Spared(NamedTuple):
    """A function that was slow: until when it is not called, for how long, and what it did."""

    until: float
    seconds: float
    why: str


class Functions:
    """Calls functions in a process of their own; from threads only, since it waits for them."""

    def __init__(
        self,
        kept: KeptModules,
        seconds: Callable[[], float],
        *,
        must_give: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take the modules in force; with `must_give` a function that fails raises."""
        self._kept = kept
        self._seconds = seconds
        self._must_give = must_give
        self._wall = wall
        self._process = FunctionProcess()
        self._texts: dict[str, bytes] = {}
        self._spared: dict[Function, Spared] = {}
        self.health: dict[str, FunctionHealth] = {}
        """By feature, since this process began."""

    def evaluate(
        self, definition: Definition, function: Function, columns: Mapping[str, Floats]
    ) -> Floats:
        """Compute a column of others; NaN where there is no finite number.

        Raises FunctionFailedError only with `must_give`.
        """
        rows = len(columns[function.names[0]])
        if not rows:
            return np.empty(0)
        try:
            found, failed, first = self._column(function, columns, rows)
        except FunctionFailedError as error:
            if error.is_slow:
                self._spare(function, error.reason)
            self._note(definition.name, "failing", str(error))
            if self._must_give:
                raise
            return np.full(rows, np.nan)
        self._spared.pop(function, None)
        self._note_rows(definition.name, columns, found, failed, first)
        return np.where(np.isfinite(found), found, np.nan)

    def prepare(self, functions: Iterable[Function]) -> None:
        """Run their modules ahead of the first call, which nobody has to wait for then."""
        for each in functions:
            text = self._text(each.sha256)
            if text is not None:
                with suppress(FunctionFailedError):  # the call says so again
                    self._process.load(each.path, each.sha256, text)

    def close(self) -> None:
        self._process.close()

    def _column(
        self, function: Function, columns: Mapping[str, Floats], rows: int
    ) -> tuple[Floats, int, str]:
        spared = self._spared.get(function)
        if spared is not None and self._wall() < spared.until:
            raise FunctionFailedError(function.path, spared.why)
        text = self._text(function.sha256)
        if text is None:
            raise FunctionFailedError(function.path, "has no module that can be read")
        parts = []
        for start in range(0, rows, ROWS):
            part = {name: columns[name][start : start + ROWS] for name in function.names}
            parts.append(
                self._process.column(function.path, function.sha256, text, part, self._seconds())
            )
        first = next((each[2] for each in parts if each[2]), "")
        return np.concatenate([each[0] for each in parts]), sum(each[1] for each in parts), first

    def _text(self, digest: str) -> bytes | None:
        """Give a module; a training set goes on with the one that it began with."""
        text = self._texts.get(digest) or self._kept.text(digest)
        if text is not None:
            self._texts[digest] = text
        return text

    def _spare(self, function: Function, why: str) -> None:
        before = self._spared.get(function)
        seconds = (
            SPARED_SECONDS if before is None else min(2 * before.seconds, LONGEST_SPARED_SECONDS)
        )
        self._spared[function] = Spared(self._wall() + seconds, seconds, why)

    def _note_rows(
        self, name: str, columns: Mapping[str, Floats], found: Floats, failed: int, first: str
    ) -> None:
        """Note rows that have all inputs and no number."""
        whole = np.logical_and.reduce([np.isfinite(each) for each in columns.values()])
        without = int((whole & ~np.isfinite(found)).sum()) or failed
        if not without:
            self._note(name, "ok", "")
            return
        why = f"no finite number for {without} of {len(found)} rows"
        self._note(name, "rows missing", f"{why}: {first}" if first else why)

    def _note(self, name: str, state: Literal["ok", "rows missing", "failing"], why: str) -> None:
        known = self.health.get(name)
        since = known.since if known is not None and known.state == state else self._wall()
        self.health[name] = FunctionHealth(state=state, why=why, since=since)
