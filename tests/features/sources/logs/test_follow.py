"""Files are rotated in every way while they are followed: each line is given once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from features.sources.logs import follow
from features.sources.logs.content import CHUNK, Content
from features.sources.logs.follow import QUIET_SECONDS, Follower, Positions

NOW = 1_800_000_000.0


class Reader:
    """What was read, by one process after another."""

    def __init__(self, pattern: str | Path, most_of_past: int = 2**30) -> None:
        self.patterns = [str(pattern)]
        self.most_of_past = most_of_past
        self.lines: list[str] = []
        self.now = NOW
        self.noted: bytes | None = None
        self.certain = False
        self.follower = Follower(self.patterns, most_of_past=most_of_past)

    def take(self, _: Content, __: int, line: bytes) -> None:
        self.lines.append(line.decode())

    def poll(self) -> list[str]:
        """Give what is new."""
        before = len(self.lines)
        self.follower.poll(self.take, self.now)
        self.note()
        return self.lines[before:]

    def note(self) -> None:
        positions = self.follower.positions()
        self.certain = positions is not None
        if positions is not None:
            self.noted = positions.to_json()

    def restart(self) -> None:
        """Begin anew where the last poll ended, or a poll before it that could be noted."""
        self.follower.close()
        positions = None if self.noted is None else Positions.from_json(self.noted)
        self.follower = Follower(self.patterns, most_of_past=self.most_of_past, positions=positions)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def write(path: Path, *lines: str, end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("\n".join(lines) + end)


def copy_and_truncate(path: Path, copy: Path) -> None:
    shutil.copy(path, copy)
    os.truncate(path, 0)


def test_lines_are_given_as_they_are_completed(log: Path) -> None:
    reader = Reader(log)
    assert reader.poll() == []
    write(log, "a", "b", "begun", end="")
    assert reader.poll() == ["a", "b"]
    write(log, ", and", end="")
    assert reader.poll() == []
    write(log, " done", "c")
    assert reader.poll() == ["begun, and done", "c"]
    assert reader.poll() == []


@pytest.mark.parametrize("pattern", ["app.log", "app.log*"])
def test_a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_beginning(
    log: Path, pattern: str
) -> None:
    reader = Reader(log.parent / pattern)
    write(log, "a")
    reader.poll()
    with log.open("a") as still_open:
        still_open.write("b\n")
        still_open.flush()
        log.rename(log.parent / "app.log.1")
        write(log, "c")
        assert sorted(reader.poll()) == ["b", "c"]
        still_open.write("from one who has not heard of the rotation\n")
    assert reader.poll() == ["from one who has not heard of the rotation"]


@pytest.mark.parametrize("pattern", ["app.log", "app.log*", "*"])
@pytest.mark.parametrize("copied_to", ["app.log.1", "old-app"])
@pytest.mark.parametrize("restarts", [False, True])
def test_the_rest_of_a_truncated_file_is_read_from_its_copy(
    log: Path, pattern: str, copied_to: str, *, restarts: bool
) -> None:
    reader = Reader(log.parent / pattern)
    write(log, "a 1", "a 2")
    reader.poll()
    write(log, "a 3")
    copy_and_truncate(log, log.parent / copied_to)
    if restarts:
        reader.restart()
    write(log, "b 1", "b 2", "b 3", "b 4")  # as long as before, and longer
    assert sorted(reader.poll()) == ["a 3", "b 1", "b 2", "b 3", "b 4"]
    write(log, "b 5")
    if restarts:
        reader.restart()
    assert reader.poll() == ["b 5"]


def test_a_copy_that_is_found_before_the_file_is_truncated_is_not_read(log: Path) -> None:
    reader = Reader(log.parent / "*")
    write(log, *(f"line {n} of many" for n in range(200)))
    reader.poll()
    text = log.read_bytes()
    copy = log.parent / "app.log.1"
    for size in (5, 50, 1500, len(text)):  # it is copied while others look
        copy.write_bytes(text[:size])
        assert reader.poll() == []
    write(log, "after the copy was made, and lost with the rest")
    assert len(reader.poll()) == 1
    reader.restart()
    os.truncate(log, 0)
    write(log, "anew")
    assert reader.poll() == ["anew"]
    assert reader.poll() == []


def test_a_file_that_begins_like_another_is_no_copy_of_it(log: Path) -> None:
    reader = Reader(log.parent / "*")
    write(log, "header", "a")
    assert reader.poll() == ["header", "a"]
    other = log.parent / "other.log"
    write(other, "header")
    reader.poll()
    write(other, "b")
    assert reader.poll()[-2:] == ["header", "b"]


def test_of_a_file_and_its_copy_the_one_that_grows_is_read(log: Path) -> None:
    write(log, "a")
    shutil.copy(log, log.parent / "a-backup")
    reader = Reader(log.parent / "*")
    assert reader.poll() == ["a"]
    write(log, "b")
    assert reader.poll() == ["b"]
    write(log, "c")
    assert reader.poll() == ["c"]


def test_a_truncated_file_without_a_copy_is_read_from_its_beginning(log: Path) -> None:
    reader = Reader(log)
    write(log, "a 1", "a 2")
    reader.poll()
    log.write_text("b 1\n")
    assert reader.poll() == ["b 1"]
    log.write_text("c 1\nc 2\nc 3\n")  # longer than what was read
    assert reader.poll() == ["c 1", "c 2", "c 3"]


def test_a_deleted_file_is_read_to_its_end_and_then_closed(log: Path) -> None:
    reader = Reader(log)
    write(log, "a")
    reader.poll()
    write(log, "b")
    log.unlink()
    assert reader.poll() == ["b"]
    reader.now += QUIET_SECONDS + 1
    reader.poll()
    assert reader.follower.files == 0
    write(log, "c")
    assert reader.poll() == ["c"]


def test_a_link_is_followed_to_the_file_that_it_names_now(log: Path) -> None:
    one, other = log.parent / "2026-03-01", log.parent / "2026-03-02"
    write(one, "a")
    log.symlink_to(one)
    reader = Reader(log)
    assert reader.poll() == ["a"]
    write(one, "b")
    write(other, "c")
    log.unlink()
    log.symlink_to(other)
    assert sorted(reader.poll()) == ["b", "c"]
    log.unlink()
    log.symlink_to(log.parent / "nowhere")
    assert reader.poll() == []


def test_two_names_of_a_file_are_one_file(log: Path) -> None:
    write(log, "a")
    (log.parent / "app.log.link").symlink_to(log)
    (log.parent / "app.log.hard").hardlink_to(log)
    assert Reader(log.parent / "app.log*").poll() == ["a"]


@pytest.mark.parametrize("moved", ["app.log.1", "elsewhere"])
def test_a_restart_goes_on_in_files_that_were_renamed_meanwhile(log: Path, moved: str) -> None:
    reader = Reader(log)
    write(log, "a")
    reader.poll()
    write(log, "b")
    log.rename(log.parent / moved)
    write(log, "c")
    reader.restart()
    assert sorted(reader.poll()) == ["b", "c"]
    assert reader.poll() == []


def test_a_restart_reads_again_what_is_not_done(log: Path) -> None:
    reader = Reader(log)
    write(log, "1", "1", "2", "1", "3", "2")
    reader.follower.poll(lambda *line: int(line[2]), NOW)
    reader.follower.forget_before(2)
    reader.note()
    reader.restart()
    assert reader.poll() == ["2", "1", "3", "2"]


def test_what_is_noted_of_a_file_shows_nothing_of_its_lines(log: Path) -> None:
    reader = Reader(log)
    write(log, "password=hunter2")
    reader.poll()
    assert reader.noted is not None
    assert b"hunter" not in reader.noted
    for wrong in (b"", b"[]", b"{}", b'{"patterns": 1, "contents": [], "copies": []}'):
        with pytest.raises(ValueError, match=r".+"):
            Positions.from_json(wrong)


def test_of_a_large_file_that_is_there_the_end_is_read(log: Path) -> None:
    write(log, *(f"{n:04}" for n in range(1000)))
    reader = Reader(log, most_of_past=52)
    assert reader.poll() == [f"{n:04}" for n in range(990, 1000)]
    write(log, "more")
    other = log.parent / "app.log.2"
    write(other, *(f"new {n:04}" for n in range(1000)))
    assert reader.poll() == ["more"]


def test_a_line_without_end_is_passed_over(log: Path) -> None:
    reader = Reader(log)
    write(log, "a", "x" * (3 * CHUNK), end="")
    assert reader.poll() == ["a"]
    reader.restart()
    write(log, "its end", "b")
    assert reader.poll() == ["b"]


def test_what_is_no_file_of_lines_is_left_alone(log: Path) -> None:
    os.mkfifo(log.parent / "app.log.pipe")  # who opened it would wait for ever
    (log.parent / "app.log.folder").mkdir()
    (log.parent / "app.log.1.gz").write_bytes(b"\x1f\x8b\n")
    write(log, "a")
    assert Reader(log.parent / "app.log*").poll() == ["a"]


def test_more_files_than_can_be_open_are_refused(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MOST_FILES", 2)
    for n in range(3):
        write(log.parent / f"{n}.log", "a")
    with pytest.raises(ValueError, match="3 files"):
        Reader(log.parent / "*.log").poll()


WRITER = """
import os, random, shutil, sys
from pathlib import Path
path, lines, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rng, rotations = random.Random(seed), 0
file = open(path, "ab", buffering=0)
for n in range(lines):
    line = b'{"n": %d, "pad": "%s"}\\n' % (n, b"x" * rng.randrange(200))
    cut = rng.randrange(len(line)) if rng.random() < 0.2 else len(line)
    file.write(line[:cut])
    if cut < len(line):
        file.write(line[cut:])
    if rng.random() < 0.01:
        rotations += 1
        old = path.with_name(f"app.log.{rotations}")
        if rng.random() < 0.5:
            path.rename(old)
            file = open(path, "ab", buffering=0)
        else:
            shutil.copy(path, old)
            os.truncate(path, 0)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_process_writes_and_rotates_as_fast_as_it_can(log: Path, seed: int) -> None:
    """Half of the rotations rename, half copy and truncate; the reader restarts at times."""
    reader, lines, polls = Reader(log.parent / "app.log*"), 6000, 0
    command = [sys.executable, "-c", WRITER, str(log), str(lines), str(seed)]
    with subprocess.Popen(command) as writer:
        while writer.poll() is None:
            reader.poll()
            polls += 1
            if polls % 7 == 0 and reader.certain:
                reader.restart()
        assert writer.returncode == 0
    reader.poll()
    found = sorted(int(line.partition(",")[0].removeprefix('{"n": ')) for line in reader.lines)
    assert polls > 3
    assert found == list(range(lines))
