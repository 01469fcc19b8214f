"""The file that takes a writer's entries while Redis is away: a queue that survives kill -9.

A frame is length, CRC-32, entry. A frame torn by a kill ends the file: everything before it was
fsynced before anyone was answered, everything from it on was never acknowledged. A damaged frame
ends it as well, and acknowledged ones may follow: so a file that ends before its last byte is kept
beside the spools when its entries are elsewhere. Calls block.
"""

import fcntl
import logging
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from observability.errors import SpoolError, SpoolTakenError

log = logging.getLogger(__name__)

SUFFIX = ".spool"
KEPT_SUFFIX = ".damaged"
MAX_ENTRY_BYTES = 64 * 1024 * 1024

_FRAME = struct.Struct(">II")


class Spool:
    """One spool file, held under a lock for as long as it is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Use `create` or `adopt`: they hand over a descriptor that is locked already."""
        self._path = path
        self._file = descriptor
        self._start = 0
        self._end = 0
        self.count = 0
        for entry in self._frames(0):
            self._end += _FRAME.size + len(entry)
            self.count += 1
        # What cannot be read of a file that was there already.
        self._unreadable = os.fstat(descriptor).st_size - self._end
        self._torn = self._unreadable > 0

    @classmethod
    def create(cls, path: Path) -> Self:
        """Open a writer's own spool; what it already holds is kept."""
        _make_folder(path.parent)
        # Whoever sweeps up dead writers' files may catch this one between its creation and its
        # lock, find it empty and remove it: then the lock is on a file without a name.
        while True:
            held = _locked(path, os.O_CREAT, fcntl.LOCK_EX)
            if held is not None:
                _sync_folder(path.parent)
                return cls(path, held)

    @classmethod
    def adopt(cls, path: Path) -> Self | None:
        """Take over the file of a writer that died; none if it is gone by now.

        Raises SpoolTakenError while its writer lives, or another has adopted it.
        """
        held = _locked(path, 0, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if held is None:
            return None
        try:
            return cls(path, held)
        except SpoolError:
            os.close(held)
            raise

    def append(self, entries: Sequence[bytes]) -> None:
        """Return once all of them are on the disk; if that fails, none of them counts."""
        data = b"".join(_FRAME.pack(len(entry), zlib.crc32(entry)) + entry for entry in entries)
        try:
            self._cut()
            self._torn = True
            _write(self._file, data, self._end)
            os.fdatasync(self._file)
        except OSError as error:
            self.mend()
            raise SpoolError(f"cannot write {len(data)} bytes to {self._path}: {error}") from error
        self._torn = False
        self._end += len(data)
        self.count += len(entries)

    def mend(self) -> None:
        """Take away what a failed append left behind; what cannot go now is left to the next call.

        Who looks at the file's size alone would take it for an entry.
        """
        with suppress(OSError):
            self._cut()

    def peek(self, limit_bytes: int) -> list[bytes]:
        """Read the oldest entries, at least one if there is any, about that many bytes."""
        found: list[bytes] = []
        size = 0
        for entry in self._frames(self._start):
            found.append(entry)
            size += len(entry)
            if size >= limit_bytes:
                break
        return found

    def drop(self, entries: Sequence[bytes]) -> None:
        """Forget the oldest entries, as `peek` gave them, because they are safe elsewhere."""
        self._start += sum(_FRAME.size + len(entry) for entry in entries)
        self.count -= len(entries)
        if self._start == self._end and not self._unreadable:
            self._start = self._end = 0
            self._torn = True
            self._cut()

    def close(self) -> None:
        """Release the lock; a file with nothing left in it goes too."""
        if not self.count:
            self._remove()
        os.close(self._file)

    def _remove(self) -> None:
        if not self._unreadable:
            self._path.unlink(missing_ok=True)
            return
        kept = self._path.with_suffix(KEPT_SUFFIX)
        self._path.replace(kept)
        log.error(
            "the last %d bytes of %s cannot be read: a kill broke them off as they were written, "
            "or entries in them are damaged. All that was in front of them is in the ledger; the "
            "file is kept as %s",
            *(self._unreadable, self._path, kept),
        )

    def _cut(self) -> None:
        # What a failed append left behind must not follow the next one as if it were whole.
        if self._torn:
            os.ftruncate(self._file, self._end)
            self._torn, self._unreadable = False, 0

    def _frames(self, at: int) -> Iterator[bytes]:
        while True:
            head = self._read(_FRAME.size, at)
            if len(head) < _FRAME.size:
                return
            length, checksum = _FRAME.unpack(head)
            # A length of 0 would match the zeros that a file system may leave after a power cut.
            if not 0 < length <= MAX_ENTRY_BYTES:
                return
            entry = self._read(length, at + _FRAME.size)
            if len(entry) < length or zlib.crc32(entry) != checksum:
                return
            yield entry
            at += _FRAME.size + length

    def _read(self, length: int, at: int) -> bytes:
        try:
            return os.pread(self._file, length, at)
        except OSError as error:
            raise SpoolError(f"cannot read {self._path}: {error}") from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(f"cannot make the spool's folder {folder}: {error}") from error


def _locked(path: Path, flags: int, lock: int) -> int | None:
    """Open and lock; none if by then the path names nothing, or another file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SpoolError(f"cannot open {path}: {error}") from error
    try:
        fcntl.flock(descriptor, lock)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SpoolTakenError(f"{path} is locked by a running process") from error
    if _is_at(path, descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor: int, data: bytes, at: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, at)
        rest = rest[written:]
        at += written


def _sync_folder(folder: Path) -> None:
    """Make a new file survive a power cut: its folder must be on the disk as well."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
