"""Trains what is missing as soon as the history suffices, and tells until then what is missing.

A platform that was connected a minute ago has no history to train on. It answers by simpler rules
meanwhile; this looks every ten minutes whether the history is long enough.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from launch.training.jobs import Job
from launch.training.process import Outcome, TrainingProcess
from models.needs import until_trained

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
        """`wait` waits so many seconds and answers whether the end is wished meanwhile."""
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
        self._thread = threading.Thread(target=self._run, name="train later", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the training that runs, and begin no other."""
        self._stopped.set()
        if (running := self._running) is not None:
            running.stop()

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
        outcome = process.run(self._heard)
        self._running = None
        if not self._stopped.is_set():
            self._tell(job, self._sentence(job, names, outcome, self._clock() - started))

    def _sentence(self, job: Job, names: Sequence[str], outcome: Outcome, seconds: float) -> str:
        if outcome.code != 0:
            return f"[yellow]Training {job.title} failed; see {self._log_file}"
        lacks = {lack.model: lack.why for lack in outcome.lacks}
        trained = [name for name in names if name not in lacks]
        done = f"[green]✓[/green] Trained {', '.join(trained)}: {seconds:.0f} s" if trained else ""
        wanting = [_wanting(name, why) for name, why in lacks.items()]
        return "\n".join([*([done] if done else []), *wanting])

    def _tell(self, job: Job, sentence: str) -> None:
        """Say what is new; what was said ten minutes ago is not said again."""
        if self._said.get(job.title) != sentence:
            self._said[job.title] = sentence
            self._say(sentence)


def _wanting(name: str, why: str) -> str:
    meanwhile = until_trained(name)
    return f"Not trained yet: {name}: {why}" + (f"; until then {meanwhile}" if meanwhile else "")


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]
