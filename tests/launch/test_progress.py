"""In a log, a step that lasts is mentioned again and again."""

import re
import time

import pytest

from launch.progress import Progress
from tests.waiting import PATIENCE_SECONDS


class Log:
    """What was written to the error stream, which is no terminal here."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self._text = ""

    @property
    def text(self) -> str:
        self._text += self._capture.readouterr().err
        return self._text

    def has(self, pattern: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(re.findall(pattern, self.text, re.MULTILINE)) < times:
            assert time.monotonic() < deadline, self.text
            time.sleep(0.005)


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(capsys)


def test_a_step_that_lasts_is_mentioned_with_its_seconds(log: Log) -> None:
    with Progress(repeated_every_s=0.01).step("Ray cluster"):
        log.has(r"^  Ray cluster:  \d+ s so far$", times=3)
    log.has(r"^✓ Ray cluster +\d+\.\d s")


def test_a_share_that_stays_is_mentioned_with_its_seconds(log: Log) -> None:
    with Progress(repeated_every_s=0.01).bar("Deployments") as share:
        share(0.5, "starting tail")
        log.has(r"^  Deployments: 50%  starting tail  \d+ s so far$", times=3)


def test_a_step_that_is_over_or_has_failed_is_mentioned_no_more(log: Log) -> None:
    progress = Progress(repeated_every_s=0.01)

    def fail() -> None:
        with progress.step("Redis"):
            log.has("Redis")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    said = log.text
    with progress.step("Ray cluster"):  # one that went on would come between these
        log.has("Ray cluster", times=5)
    assert "Redis" not in log.text[len(said) :]


def test_each_step_is_reported_as_it_begins() -> None:
    begun = list[str]()
    progress = Progress(begun.append)
    with progress.step("Ray cluster"):
        assert begun == ["Ray cluster"]
    with progress.bar("Deployments"):
        assert begun == ["Ray cluster", "Deployments"]
