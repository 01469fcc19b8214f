"""What one series of a write holds: where its labels and samples lie, and what they say."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from features.errors import UnreadableWriteError, WriteTooLargeError
from features.sources.remote_write.wire import (
    FIXED64,
    MESSAGE,
    VARINT,
    Part,
    parts,
    signed,
    varint,
)

# Of one series: samples, exemplars and what else it holds beside its labels.
MOST_FIELDS = 20_000
MOST_LABELS = 128
MOST_NAME_BYTES = 1024
MOST_VALUE_BYTES = 8192
_MOST_LABEL_BYTES = MOST_NAME_BYTES + MOST_VALUE_BYTES + 32
_MOST_SAMPLE_BYTES = 256
_ZERO = bytes(8)
# Field 1, of either version: a label, or packed references to symbols.
_LABELS_TAG = 0x0A
# A length from here on takes two bytes.
LONG = 0x80


class RefusedSeriesError(Exception):
    """The labels of one series are not what they may be; the other series are taken."""


class Numbers(NamedTuple):
    """By which number a version of the protocol knows each field of a series."""

    labels: int
    samples: int
    exemplars: int
    histograms: int


V1 = Numbers(labels=1, samples=2, exemplars=3, histograms=4)
V2 = Numbers(labels=1, samples=2, histograms=3, exemplars=4)


class SeriesFields(NamedTuple):
    """The fields of one series, its labels as they stand in the body."""

    labels: bytes
    samples: list[tuple[int, int]]  # where each begins and ends
    exemplars: int
    histograms: int

    @classmethod
    def of(cls, content: bytes, series: Part, numbers: Numbers) -> Self:
        """Find the fields; what a later version of the protocol adds is passed over."""
        at, stop = series.start, series.stop
        # Every sender writes the labels first, and a label is short: they are one slice.
        while at + 1 < stop and content[at] == _LABELS_TAG and content[at + 1] < LONG:
            at += 2 + content[at + 1]
        # Joined at the end: to add each to a long text would copy that text each time.
        labels = [content[series.start : min(at, stop)]]
        samples: list[tuple[int, int]] = []
        exemplars = histograms = 0
        before = at
        for count, part in enumerate(parts(content, at, stop)):
            if part.number == numbers.samples:
                message_of(part)
                samples.append((part.start, part.stop))
            elif part.number == numbers.labels:
                labels.append(content[before : part.stop])
            elif part.number == numbers.exemplars:
                exemplars += 1
            elif part.number == numbers.histograms:
                histograms += 1
            before = part.stop
            if count >= MOST_FIELDS:
                raise WriteTooLargeError(f"a series holds over {MOST_FIELDS} samples")
        if at > stop:
            raise UnreadableWriteError(f"a label goes {at - stop} bytes past its series")
        return cls(b"".join(labels), samples, exemplars, histograms)


def labels_of_parts(encoded: bytes) -> dict[str, str]:
    """Give a series' labels as version 1.0 writes them."""
    pairs: list[tuple[str, str]] = []
    for label in parts(encoded, 0, len(encoded)):
        message_of(label)
        if label.stop - label.start > _MOST_LABEL_BYTES or len(pairs) > MOST_LABELS:
            raise RefusedSeriesError(
                f"a series has over {MOST_LABELS} labels, or one of over {_MOST_LABEL_BYTES} bytes"
            )
        name = value = ""
        for part in parts(encoded, label.start, label.stop):
            if part.number == 1:
                name = text_of(encoded, part)
            elif part.number == 2:  # noqa: PLR2004 - the schema's number of the value
                value = text_of(encoded, part)
        pairs.append((name, value))
    return _unique(pairs)


def labels_of_texts(texts: tuple[str, ...]) -> dict[str, str]:
    """Give a series' labels from names and values in turn, as version 2.0 writes them."""
    return _unique(list(zip(texts[::2], texts[1::2], strict=True)))


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    if len(pairs) > MOST_LABELS:
        raise RefusedSeriesError(
            f"a series has {len(pairs)} labels, and {MOST_LABELS} are the limit"
        )
    for name, value in pairs:
        if not name or len(name) > MOST_NAME_BYTES or len(value) > MOST_VALUE_BYTES:
            raise RefusedSeriesError(
                f"a label has a name of {len(name)} characters ({name[:40]!r}) and a value of "
                f"{len(value)}: 1 to {MOST_NAME_BYTES} and at most {MOST_VALUE_BYTES} are allowed"
            )
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1)
        raise RefusedSeriesError(f"a series has the label {twice[:40]!r} twice")
    return found


def references_of(encoded: bytes) -> Iterator[int]:
    """Give the numbers of a series' symbols, packed or single."""
    for part in parts(encoded, 0, len(encoded)):
        if part.kind == VARINT:
            yield part.value
            continue
        at, stop = message_of(part).start, part.stop
        while at < stop:
            number = encoded[at]
            if number < LONG:
                at += 1
            elif at + 1 < stop and encoded[at + 1] < LONG:  # as nearly all of the others are
                number += (encoded[at + 1] - 1) * LONG
                at += 2
            else:
                number, at = varint(encoded, at, stop)
            yield number


def sample_of(
    content: bytes, start: int, stop: int, known_times: dict[bytes, int]
) -> tuple[bytes, int]:
    """Give a sample's value as the 8 bytes that it is, and its time in milliseconds.

    Many samples of a body are of one scrape, so its times are remembered by their bytes.
    """
    # What every sender writes: the value's tag and 8 bytes, the time's tag and a varint.
    if stop - start > 10 and content[start] == 0x09 and content[start + 9] == 0x10:  # noqa: PLR2004
        encoded = content[start + 10 : stop]
        if (known := known_times.get(encoded)) is not None:
            return content[start + 1 : start + 9], known
        time, after = varint(content, start + 10, stop)
        if after == stop:
            known_times[encoded] = signed(time)
            return content[start + 1 : start + 9], signed(time)
    return _unusual_sample(content, start, stop)


def _unusual_sample(content: bytes, start: int, stop: int) -> tuple[bytes, int]:
    if stop - start > _MOST_SAMPLE_BYTES:
        raise UnreadableWriteError(f"a sample has {stop - start} bytes")
    value, time = _ZERO, 0
    for part in parts(content, start, stop):
        if part.number == 1 and part.kind == FIXED64:
            value = content[part.start : part.stop]
        elif part.number == 2 and part.kind == VARINT:  # noqa: PLR2004 - the timestamp's number
            time = part.value
    return value, signed(time)


def text_of(content: bytes, part: Part) -> str:
    """Give a field that is a text."""
    message_of(part)
    try:
        return content[part.start : part.stop].decode()
    except UnicodeDecodeError as broken:
        raise UnreadableWriteError(f"a text at byte {part.start} is no UTF-8") from broken


def message_of(part: Part) -> Part:
    """Give the field where it is a message, a text or packed numbers: they have one form."""
    if part.kind != MESSAGE:
        raise UnreadableWriteError(
            f"field {part.number} at byte {part.start} has the wire type {part.kind}, not {MESSAGE}"
        )
    return part
