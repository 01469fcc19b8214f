"""Reads a posted body of JSON lines, by the rules that files of them are read by."""

import hashlib
import zlib
from collections.abc import Generator

from features.errors import PostRefusedError, PostTooLargeError
from features.sources.logs.batch import Batch
from features.sources.logs.config import LineRules
from features.sources.logs.content import LONGEST_LINE
from features.sources.logs.patterns import LineRead, LineReader, UnreadLine
from features.sources.source import Faults

# As it is sent, and as it is unpacked.
MOST_BYTES = 8 * 1024 * 1024
MOST_UNPACKED_BYTES = 16 * 1024 * 1024
MOST_LINES = 100_000
# What follows a part is copied to read the next one.
_MOST_MEMBERS = 32
# Who could not send for a while sends what is older, too.
PAST_SECONDS = 3 * 3600
# A step is less than a millisecond of usual lines.
_STEP_LINES, _STEP_BYTES = 16, 16 * 1024


def unpacked(raw: bytes) -> bytes:
    """Give what gzip holds; PostTooLargeError before too much of it is unpacked."""
    pieces, left = list[bytes](), MOST_UNPACKED_BYTES
    for _ in range(_MOST_MEMBERS):
        if not raw:
            return b"".join(pieces)
        member = zlib.decompressobj(wbits=31)
        try:
            pieces.append(member.decompress(raw, left + 1))
        except zlib.error as broken:
            raise PostRefusedError("body", f"its gzip is broken: {broken}") from broken
        left -= len(pieces[-1])
        if left < 0:
            limit = f"it unpacks to more than {MOST_UNPACKED_BYTES} bytes, which are the limit"
            raise PostTooLargeError(limit)
        if not member.eof:
            raise PostRefusedError("body", "its gzip is cut off")
        raw = member.unused_data
    raise PostTooLargeError(f"it has more than {_MOST_MEMBERS} parts, each a gzip of its own")


def identity_of(content: bytes, key: str) -> str:
    """Tell bodies apart: one that is sent again counts once.

    Bodies that are honestly equal are told apart by a key of the sender's.
    """
    digest = hashlib.blake2b(key.encode(), digest_size=16)
    digest.update(b"\0" + content)
    return digest.hexdigest()


class BodyLines:
    """One body; `steps` reads it bit by bit, so that others get their turn in between."""

    def __init__(self, rules: LineRules, cadence_seconds: int, now: float) -> None:
        self._reader = LineReader(rules)
        self._newest = now + cadence_seconds
        self._oldest = now - PAST_SECONDS
        self._faults = Faults()
        self._lines: list[LineRead] = []
        self.received = 0

    def steps(self, content: bytes) -> Generator[None, None, None]:
        """Read the lines; the last one needs no end. PostTooLargeError where they are too many."""
        at, step_end, step_lines = 0, _STEP_BYTES, 0
        while at < len(content):
            end = content.find(b"\n", at)
            end = len(content) if end < 0 else end
            if end - at >= LONGEST_LINE:
                self._count()
                self._faults.add("schema", 1, "the line is longer than 256 KiB")
            else:
                self._take(content[at:end])
            at, step_lines = end + 1, step_lines + 1
            if at >= step_end or step_lines == _STEP_LINES:
                yield
                step_end, step_lines = at + _STEP_BYTES, 0

    def batch(self, identity: str) -> Batch:
        """Give what was read."""
        return Batch(identity, self._lines, self._faults.complaints())

    def _count(self) -> None:
        self.received += 1
        if self.received > MOST_LINES:
            raise PostTooLargeError(f"it has more than {MOST_LINES} lines, which are the limit")

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        self._count()
        read = self._reader.read(line)
        if isinstance(read, UnreadLine):
            self._faults.add(read.fault, 1, read.example)
        elif read.time > self._newest:
            self._faults.add("clock skew", 1, f"a line of {read.entity!r} is at {read.time:.0f}")
        elif read.time < self._oldest:
            self._faults.add("late", 1, f"a line of {read.entity!r} at {read.time:.0f}")
        else:
            self._lines.append(read)
