"""The clocks of a live process; a test brings its own."""

import time
from typing import Protocol


class Clocks(Protocol):
    def wall(self) -> float: ...
    def monotonic(self) -> float: ...


class SystemClocks:
    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
