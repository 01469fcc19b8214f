"""Training that waits for its history: real processes, a clock that a test moves."""

import queue
import textwrap
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launch.training.due import HISTORY_HOURS, due
from launch.training.jobs import Job
from launch.training.later import RETRY_SECONDS, TrainingLater
from launch.training.standing import Repeated, Standing
from models.model_version import DEMO, MEASURED, TELEMETRY, ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION

NAME = "tail/slo"
# Trains only what was handed over as "enough"; else it says what is missing.
_PROGRAM = """
import sys
from pathlib import Path
from launch.training.lines import tell_lack, tell_progress

folder = Path(sys.argv[1])
tell_progress(0.5, "half")
print("a library's own word")
handed = (folder / "rows").read_text()
if handed == "broken":
    sys.exit(7)
if handed == "endless":
    import time
    time.sleep(600)
if handed != "enough":
    tell_lack("tail/slo", handed)
"""


class Turns:
    """Stands for the ten minutes between two looks: a test lets each of them pass."""

    def __init__(self) -> None:
        self.waited: queue.Queue[float] = queue.Queue()
        self._go: queue.Queue[bool] = queue.Queue()

    def wait(self, seconds: float) -> bool:
        self.waited.put(seconds)
        return self._go.get(timeout=60)

    def next(self) -> None:
        assert self.waited.get(timeout=60) == RETRY_SECONDS
        self._go.put(False)

    def end(self) -> None:
        self._go.put(True)


class Scene:
    def __init__(self, folder: Path) -> None:
        self.handed = "310 are there"
        self.said: list[str] = []
        self.heard: list[tuple[float, str]] = []
        self.turns = Turns()
        self.trained = False
        self.away = threading.Event()
        job = Job("the tail model", "planted_program", self._due, self._hand_over)
        self.later = TrainingLater(
            [job],
            folder,
            folder / "training.log",
            heard=lambda share, what: self.heard.append((share, what)),
            say=self._say,
            clock=lambda: 0.0,
            wait=self.turns.wait,
        )

    def _due(self, _: float) -> list[str]:
        return [] if self.trained else [NAME]

    def _hand_over(self, folder: Path) -> None:
        if self.away.is_set():
            raise ConnectionError("the history is away")
        (folder / "rows").write_text(self.handed)

    def _say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    (tmp_path / "planted_program.py").write_text(textwrap.dedent(_PROGRAM))
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{root}:{tmp_path}")
    scene = Scene(tmp_path)
    yield scene
    scene.turns.end()
    scene.later.stop()


def after(turns: Turns, act: Callable[[], None]) -> None:
    """Do something between two looks."""
    seconds = turns.waited.get(timeout=60)
    assert seconds == RETRY_SECONDS
    act()
    turns._go.put(False)


def test_it_says_once_what_is_missing_and_trains_when_there_is_enough(scene: Scene) -> None:
    scene.later.start()
    scene.turns.next()
    assert scene.said == [f"Not trained yet: {NAME}: 310 are there"]
    assert scene.heard == [(0.5, "half")]

    def more() -> None:
        assert len(scene.said) == 1  # the same is not said again
        scene.handed = "enough"

    after(scene.turns, more)

    def trained() -> None:
        assert scene.said[-1].endswith(f"Trained {NAME}: 0 s")
        scene.trained = True

    after(scene.turns, trained)
    scene.turns.waited.get(timeout=60)  # one more look, which has nothing to do
    assert len(scene.heard) == 3


def test_it_tells_what_runs_since_when_and_what_the_others_lack(scene: Scene) -> None:
    scene.handed = "endless"
    begun = threading.Event()
    scene.later._heard = lambda *_: begun.set()
    scene.later.start()
    assert begun.wait(60)
    running = scene.later.health().running
    assert running is not None
    assert (running.title, running.models, running.since) == ("the tail model", [NAME], 0.0)
    assert (running.share, running.step) == (0.5, "half")
    scene.turns.end()
    scene.later.stop()
    scene.later._thread.join(60)
    assert scene.later.health().running is None


def test_what_is_missing_is_told_until_it_is_there(scene: Scene) -> None:
    scene.later.start()

    def more() -> None:
        (lack,) = scene.later.health().untrained
        assert (lack.model, lack.missing) == (NAME, "310 are there")
        assert scene.later.health().running is None
        scene.handed = "enough"

    after(scene.turns, more)
    scene.turns.waited.get(timeout=60)
    assert scene.later.health().untrained == []


def test_a_long_training_is_spoken_of_now_and_then() -> None:
    standing, now = Standing(), [1000.0]
    said: list[str] = []
    repeated = Repeated(said.append, lambda: now[0])
    repeated.look(standing.health())
    standing.begin("the forecasters", ["forecasting/tft"], 1000.0)
    standing.move(0.25, "training N-BEATS")
    for second in range(90):
        now[0] = 1000.0 + second
        repeated.look(standing.health())
    assert said == [
        f"Training the forecasters: 25%, training N-BEATS, {seconds} s so far"
        for seconds in (30, 60)
    ]


def test_what_fails_is_tried_again(scene: Scene) -> None:
    scene.away.set()
    scene.later.start()

    def back() -> None:
        assert "cannot be trained now" in scene.said[0]
        scene.away.clear()
        scene.handed = "broken"

    after(scene.turns, back)

    def mended() -> None:
        assert "failed; see" in scene.said[1]
        scene.handed = "enough"

    after(scene.turns, mended)
    scene.turns.waited.get(timeout=60)
    assert "Trained" in scene.said[2]


def test_the_end_ends_the_training_that_runs(scene: Scene) -> None:
    scene.handed = "endless"
    begun = threading.Event()
    scene.later._heard = lambda *_: begun.set()
    scene.later.start()
    assert begun.wait(60)
    scene.turns.end()
    scene.later.stop()
    scene.later._thread.join(60)
    assert not scene.later._thread.is_alive()
    assert scene.said == []


@pytest.mark.parametrize(
    ("hours", "age_hours", "expected"),
    [
        (None, 0.0, [NAME]),  # there is no champion
        (2.0, 1.9, []),
        (2.0, 2.0, [NAME]),  # as much has come as there was
        (500.0, 1e6, []),  # long enough a history
        (-1.0, 1e6, []),  # somebody else's, which says nothing
    ],
)
def test_a_model_of_a_short_history_is_due_again_as_it_doubles(
    tmp_path: Path, hours: float | None, age_hours: float, expected: list[str]
) -> None:
    made = datetime(2026, 3, 2, tzinfo=UTC)
    if hours is not None:
        metrics = {HISTORY_HOURS: hours} if hours > 0 else {}
        folder = tmp_path / folder_name(NAME) / "1.0.0"
        folder.mkdir(parents=True)
        write_pointer(
            tmp_path, CHAMPION, ModelVersion(NAME, "1.0.0", folder, made, metrics=metrics)
        )
    now = made.timestamp() + age_hours * 3_600
    assert due(tmp_path, {NAME: 500.0}, now, made_up=False) == expected


@pytest.mark.parametrize(
    ("learned_from", "made_up", "expected"),
    [
        (DEMO, True, []),
        (DEMO, False, [NAME]),
        (MEASURED, False, []),
        (None, False, []),
    ],
)
def test_a_model_of_the_demo_is_due_once_something_real_is_measured(
    tmp_path: Path, learned_from: str | None, made_up: bool, expected: list[str]
) -> None:
    made = datetime(2026, 3, 2, tzinfo=UTC)
    folder = tmp_path / folder_name(NAME) / "1.0.0"
    folder.mkdir(parents=True)
    tags = {} if learned_from is None else {TELEMETRY: learned_from}
    version = ModelVersion(NAME, "1.0.0", folder, made, metrics={HISTORY_HOURS: 500.0}, tags=tags)
    write_pointer(tmp_path, CHAMPION, version)
    now = made.timestamp()
    assert due(tmp_path, {NAME: 500.0}, now, made_up=made_up) == expected
