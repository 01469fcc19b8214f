"""Trains what is missing as soon as the history suffices, and tells until then what is missing.

A platform that was connected a minute ago has no history to train on. It answers by simpler rules
meanwhile; this looks every ten minutes whether the history is long enough.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deployments.runtime.platform_health import TrainingHealth, Untrained
from launch.training.jobs import Job
from launch.training.process import Outcome, TrainingProcess
from launch.training.standing import Standing, untrained

RETRY_SECONDS = 600.0

log = logging.getLogger(__name__)


class TrainingLater:
    """One thread, which does one job after the other until it is stopped."""

    def __init__(
        self,
        jobs: Sequence[Job],
        scratch: Path,
        log_file: Path,
        *,
        heard: Callable[[float, str], None],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`wait` waits so many seconds and answers whether a stop is requested meanwhile."""
        self._jobs = jobs
        self._folder = scratch / "training"
        self._log_file = log_file
        self._heard = heard
        self._say = say
        self._clock = clock
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._running: TrainingProcess | None = None
        self._said: dict[str, str] = {}
        self._standing = Standing()
        self._thread = threading.Thread(target=self._run, name="train later", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the training that runs, and begin no other."""
        self._stopped.set()
        if (running := self._running) is not None:
            running.stop()

    def health(self) -> TrainingHealth:
        """Tell what is trained now, and what could not be; from any thread."""
        return self._standing.health()

    def _hear(self, share: float, what: str) -> None:
        self._standing.move(share, what)
        self._heard(share, what)

    def _run(self) -> None:
        while not self._stopped.is_set():
            for job in self._jobs:
                if not self._stopped.is_set():
                    self._attempt(job)
            if self._wait(RETRY_SECONDS):
                return

    def _attempt(self, job: Job) -> None:
        try:
            if names := job.due(self._clock()):
                self._train(job, names)
        except Exception as error:  # whatever it is, the next look tries again
            log.warning("%s cannot be trained now", job.title, exc_info=error)
            self._tell(job, f"{_capital(job.title)} cannot be trained now: {error!r}")

    def _train(self, job: Job, names: Sequence[str]) -> None:
        started = self._clock()
        self._folder.mkdir(exist_ok=True)
        job.hand_over(self._folder)
        process = self._running = TrainingProcess(job.module, self._folder, self._log_file)
        if self._stopped.is_set():
            return
        self._standing.begin(job.title, names, started)
        try:
            outcome = process.run(self._hear)
        finally:
            self._running = None
            self._standing.end((), ())
        self._standing.end(names, outcome.lacks)
        if not self._stopped.is_set():
            self._tell(job, self._sentence(job, names, outcome, self._clock() - started))

    def _sentence(self, job: Job, names: Sequence[str], outcome: Outcome, seconds: float) -> str:
        if outcome.code != 0:
            return f"[yellow]Training {job.title} failed; see {self._log_file}"
        lacks = {lack.model: untrained(lack) for lack in outcome.lacks}
        trained = [name for name in names if name not in lacks]
        done = f"[green]✓[/green] Trained {', '.join(trained)}: {seconds:.0f} s" if trained else ""
        wanting = [_wanting(each) for each in lacks.values()]
        return "\n".join([*([done] if done else []), *wanting])

    def _tell(self, job: Job, sentence: str) -> None:
        """Say what is new; what was said ten minutes ago is not said again."""
        if self._said.get(job.title) != sentence:
            self._said[job.title] = sentence
            self._say(sentence)


def _wanting(each: Untrained) -> str:
    meanwhile = f"; until then {each.until_then}" if each.until_then else ""
    return f"Not trained yet: {each.model}: {each.missing}{meanwhile}"


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
