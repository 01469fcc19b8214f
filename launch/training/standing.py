"""How the training in the background stands: for /status, `ballast status` and the terminal."""

import threading
from collections.abc import Callable, Sequence

from deployments.runtime.platform_health import RunningTraining, TrainingHealth, Untrained
from launch.training.lines import Lack
from models.needs import until_trained

# A training that says nothing for longer looks like one that hangs.
REPEATED_EVERY_SECONDS = 30.0


class Standing:
    """What runs, and what could not be trained; written by one thread and read by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._health = TrainingHealth()

    def health(self) -> TrainingHealth:
        with self._lock:
            return self._health

    def begin(self, title: str, models: Sequence[str], now: float) -> None:
        self._set(running=RunningTraining(title=title, models=list(models), since=now))

    def move(self, share: float, step: str) -> None:
        running = self.health().running
        if running is not None:
            self._set(running=running.model_copy(update={"share": share, "step": step}))

    def end(self, models: Sequence[str], lacks: Sequence[Lack]) -> None:
        """Keep in mind what these models lack; the others lack what they did before."""
        others = [each for each in self.health().untrained if each.model not in models]
        self._set(running=None, untrained=[*others, *map(untrained, lacks)])

    def _set(self, **changed: object) -> None:
        with self._lock:
            self._health = self._health.model_copy(update=changed)


class Repeated:
    """Says now and then that a training still runs, and for how long by now."""

    def __init__(self, say: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._said_at = 0.0

    def look(self, health: TrainingHealth) -> None:
        now, running = self._clock(), health.running
        if running is None:
            return
        if now - max(self._said_at, running.since) >= REPEATED_EVERY_SECONDS:
            self._said_at = now
            self._say(f"Training {sentence(running, now)}")


def untrained(lack: Lack) -> Untrained:
    return Untrained(model=lack.model, missing=lack.why, until_then=until_trained(lack.model))


def sentence(running: RunningTraining, now: float) -> str:
    """Say what is trained, how far it is, and how long it has taken."""
    at = f", {running.step}" if running.step else ""
    took = max(now - running.since, 0)
    return f"{running.title}: {running.share:.0%}{at}, {took:.0f} s so far"
