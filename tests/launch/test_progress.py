"""In a log, a step that lasts is mentioned again and again."""

import io
import re
import sys
import time

import pytest

from launch.progress import Progress
from tests.waiting import PATIENCE_SECONDS


class Terminal(io.StringIO):
    """An error stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


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


def test_what_is_waited_for_is_mentioned_in_a_log_only_where_it_lasts(log: Log) -> None:
    with Progress().wait("The proof"):
        pass
    assert log.text == ""
    with Progress(repeated_every_s=0.01).wait("The proof"):
        log.has(r"^  The proof:  \d+ s so far$", times=2)
    assert not re.search("✓", log.text)


def test_what_is_waited_for_is_on_a_terminal_at_once_with_its_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Progress().wait("The proof"):
        pass
    assert re.search(r"The proof .*0:00:0\d", terminal.getvalue())


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
