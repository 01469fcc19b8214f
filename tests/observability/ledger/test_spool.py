import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import SpoolError, SpoolTakenError
from observability.ledger.spool import Spool

ENTRIES = [b"one", b"two" * 100, b"three"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "w.spool"


def adopted(path: Path) -> Spool:
    spool = Spool.adopt(path)
    assert spool is not None
    return spool


def spooled(path: Path, entries: list[bytes]) -> None:
    """Leave a file behind as a writer does that is killed: without closing the spool."""
    spool = Spool.create(path)
    spool.append(entries)
    os.close(spool._file)


def test_entries_come_back_in_order_after_the_writer_died(path: Path) -> None:
    spooled(path, ENTRIES)
    spool = adopted(path)
    assert spool.count == 3
    assert spool.peek(10_000) == ENTRIES
    spool.close()


def test_a_queue_is_emptied_bit_by_bit_while_it_is_filled(path: Path) -> None:
    spool = Spool.create(path)
    spool.append(ENTRIES)
    assert spool.peek(1) == [b"one"]
    spool.drop([b"one"])
    spool.append([b"four"])
    rest = spool.peek(10_000)
    assert rest == [b"two" * 100, b"three", b"four"]
    spool.drop(rest)
    assert spool.count == 0
    assert path.stat().st_size == 0
    spool.append([b"five"])
    assert spool.peek(10_000) == [b"five"]
    spool.close()


def test_an_empty_spool_leaves_no_file_and_a_full_one_stays(path: Path) -> None:
    Spool.create(path).close()
    assert not path.exists()
    spool = Spool.create(path)
    spool.append([b"x"])
    spool.close()
    assert path.exists()


@given(cut=st.integers(0, 36))
def test_a_torn_tail_is_cut_at_the_last_good_frame(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "w.spool"
    entries = [b"0123456789", b"abcdefghij"]
    spooled(path, entries)
    whole = path.stat().st_size
    os.truncate(path, whole - cut)
    good = entries if cut == 0 else entries[:1] if cut <= 18 else []
    spool = adopted(path)
    assert spool.peek(1000) == good
    spool.append([b"after"])
    os.close(spool._file)
    again = adopted(path)
    assert again.peek(1000) == [*good, b"after"]
    again.close()


@given(place=st.integers(0, 17), bit=st.integers(0, 7))
def test_a_flipped_bit_ends_the_file_there(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "w.spool"
    spooled(path, [b"0123456789", b"abcdefghij"])
    data = bytearray(path.read_bytes())
    data[18 + place] ^= 1 << bit
    path.write_bytes(data)
    spool = adopted(path)
    assert spool.peek(1000) == [b"0123456789"]
    spool.close()


def test_zeros_that_a_power_cut_leaves_are_not_entries(path: Path) -> None:
    spooled(path, [b"x"])
    with path.open("ab") as file:
        file.write(bytes(4096))
    spool = adopted(path)
    assert spool.peek(1000) == [b"x"]
    spool.close()


@pytest.mark.parametrize("place", [0, 11, 25])
def test_a_file_is_kept_for_what_lies_behind_a_damaged_entry(
    path: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its length, a byte of the first or one of the second; sound ones follow all the same."""
    spooled(path, [b"0123456789", b"abcdefghij", b"follows"])
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
    spool = adopted(path)
    spool.drop(spool.peek(1000))
    assert spool.count == 0
    assert spool.peek(1000) == []
    spool.close()
    assert not path.exists()
    kept = path.with_suffix(".damaged")
    assert kept.read_bytes() == data
    assert str(kept) in caplog.text


def test_a_living_writers_spool_is_not_adopted(path: Path) -> None:
    spool = Spool.create(path)
    with pytest.raises(SpoolTakenError, match="running process"):
        Spool.adopt(path)
    spool.close()


def test_a_dead_writers_spool_is_adopted_once(path: Path) -> None:
    spooled(path, [b"x"])
    first = adopted(path)
    with pytest.raises(SpoolTakenError):
        Spool.adopt(path)
    first.close()


def test_a_spool_that_is_gone_is_nobodys(path: Path) -> None:
    assert Spool.adopt(path) is None


WRITE_AND_WAIT = """
import sys, pathlib
from observability.ledger.spool import Spool
spool = Spool.create(pathlib.Path(sys.argv[1]))
spool.append([b"acknowledged"])
print("ready", flush=True)
sys.stdin.read()
"""


def test_kill_9_frees_the_lock_and_keeps_what_was_acknowledged(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        with pytest.raises(SpoolTakenError):
            Spool.adopt(path)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    spool = adopted(path)
    assert spool.peek(1000) == [b"acknowledged"]
    spool.close()


def test_a_failed_append_leaves_nothing_that_could_be_read_later(path: Path) -> None:
    """A limit on the file's size fails the write half way, as a full disk does."""
    script = """
import pathlib, resource, signal, sys
from observability.errors import SpoolError
from observability.ledger.spool import Spool
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
spool = Spool.create(pathlib.Path(sys.argv[1]))
spool.append([b"first"])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    spool.append([b"a" * 100, b"b" * 100, b"c" * 2000])
except SpoolError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.append([b"z" * 100])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert "cannot write 2224 bytes" in done.stdout
    spool = adopted(path)
    assert spool.peek(10_000) == [b"first", b"z" * 100]
    spool.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot"):
        Spool.create(tmp_path / "file" / "w.spool")
