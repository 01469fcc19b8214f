"""The clocks of a live process; a test brings its own."""

import time


class SystemClocks:
    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
