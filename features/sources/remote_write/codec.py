"""Reads remote writes, protocols 1.0 and 2.0, and keeps the samples that a mapping needs.

Source: https://prometheus.io/docs/specs/prw/remote_write_spec and .../remote_write_spec_2_0. A
body is read in parts, so that who reads it can let others go on in between. Series that nobody
needs are dropped by their name, in version 1.0 without a look at the rest of them.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from sys import getsizeof

import numpy as np

from features.errors import UnreadableWriteError, WriteTooLargeError
from features.sources.remote_write.fields import (
    LONG,
    MOST_LABELS,
    V1,
    V2,
    RefusedSeriesError,
    SeriesFields,
    labels_of_parts,
    labels_of_texts,
    message_of,
    references_of,
    sample_of,
    text_of,
)
from features.sources.remote_write.needed import NAME, Needed, Series
from features.sources.remote_write.samples import Samples
from features.sources.remote_write.wire import Part, parts

MOST_SERIES = 200_000
MOST_SAMPLES = 500_000
MOST_SYMBOLS = 400_000
# Bytes between two breaks: about a millisecond's work.
_PART_BYTES = 32 * 1024
# What a field that is passed over costs, in bytes that are read.
_STEP = 100
# Of the labels by which series are known again, and of what Python takes for each.
_MOST_KNOWN_BYTES = 128 * 1024 * 1024
_KNOWN_BYTES = 500

# What most bodies begin a series with: the first label, whose name is that of the name.
_FIRST_IS_NAME = b"\n\x08" + NAME.encode() + b"\x12"
_NAME_AT = 2 + len(_FIRST_IS_NAME)
# Numbers of the body's fields in version 2.0.
_SYMBOLS, _SERIES = 4, 5
# One label more than a series may have, so that it is seen to have too many.
_MOST_REFERENCES = 2 * (MOST_LABELS + 1)

Key = bytes | tuple[str, ...]


class Message(StrEnum):
    """The messages that the protocols send, by the name in the content type."""

    V1 = "prometheus.WriteRequest"
    V2 = "io.prometheus.write.v2.Request"


@dataclass(slots=True)
class Written:
    """What was taken of a body so far."""

    series: list[Series] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: bytearray = field(default_factory=bytearray)
    known_times: dict[bytes, int] = field(default_factory=dict)
    seen_series: int = 0
    unneeded_series: int = 0
    # With those that nobody needs: they were taken as the mapping says. Only version 2.0 tells the
    # sender of them, and in 1.0 most are not counted.
    samples: int = 0
    histograms: int = 0
    exemplars: int = 0
    refused: int = 0
    why_refused: str = ""

    def refuse(self, count: int, why: str) -> None:
        """Count samples that are not taken; the first reason is kept as the example."""
        self.refused += count
        self.why_refused = self.why_refused or why

    def pass_over(self, fields: SeriesFields) -> None:
        """Count a series that no rule needs."""
        self.unneeded_series += 1
        self.samples += len(fields.samples)
        self.histograms += fields.histograms
        self.exemplars += fields.exemplars

    def take(self, content: bytes, series: Series, fields: SeriesFields) -> None:
        """Take the samples of a series that some rule needs."""
        for start, stop in fields.samples:
            value, time = sample_of(content, start, stop, self.known_times)
            self.values += value
            self.times.append(time)
        self.rows += [len(self.series)] * len(fields.samples)
        self.series.append(series)
        self.samples += len(fields.samples)
        self.exemplars += fields.exemplars
        if fields.histograms:
            self.refuse(
                fields.histograms,
                f"native histograms of {series.name} cannot be evaluated by the receiver: "
                "have the classic buckets scraped, and map those",
            )

    def taken(self) -> Samples:
        """Give the samples of the needed series as columns."""
        return Samples(
            self.series,
            np.array(self.rows, np.uint32),
            np.array(self.times, np.int64),
            np.frombuffer(bytes(self.values), "<f8"),
        )


class Codec:
    """Reads writes for one mapping; remembers the series that it has met."""

    def __init__(self, needed: Needed) -> None:
        self._needed = needed
        # By the bytes of the labels in version 1.0, by the texts in 2.0.
        self._known: dict[Key, Series | None] = {}
        self._known_bytes = 0

    def read(self, content: bytes, message: Message) -> Generator[Written, None, Written]:
        """Read an unpacked body; gives what was taken so far after each part, and at the end."""
        written, since_break = Written(), 0
        steps = self._v1(content, written) if message is Message.V1 else self._v2(content, written)
        for size in steps:
            if written.seen_series > MOST_SERIES or len(written.times) > MOST_SAMPLES:
                raise WriteTooLargeError(
                    f"it holds over {MOST_SERIES} series or over {MOST_SAMPLES} samples"
                )
            since_break += size
            if since_break >= _PART_BYTES:
                yield written
                since_break = 0
        yield written
        return written

    def _v1(self, content: bytes, written: Written) -> Iterator[int]:
        for part in parts(content, 0, len(content)):
            if part.number != 1:
                yield _STEP
                continue
            message_of(part)
            written.seen_series += 1
            if self._is_unneeded(content, part.start):
                written.unneeded_series += 1
                yield _STEP
            else:
                self._series_v1(content, part, written)
                yield part.stop - part.start

    def _is_unneeded(self, content: bytes, start: int) -> bool:
        """Tell by the name alone, where it comes first and is short, as it nearly always is."""
        if not content.startswith(_FIRST_IS_NAME, start + 2):
            return False
        at = start + _NAME_AT
        length = content[at] if at < len(content) else LONG
        # A longer name is read with the other labels.
        return length < LONG and content[at + 1 : at + 1 + length] not in self._needed.encoded_names

    def _series_v1(self, content: bytes, series: Part, written: Written) -> None:
        fields = SeriesFields.of(content, series, V1)
        self._take(content, fields.labels, lambda: labels_of_parts(fields.labels), fields, written)

    def _v2(self, content: bytes, written: Written) -> Iterator[int]:
        symbols: list[str] = []
        series: list[Part] = []
        for part in parts(content, 0, len(content)):
            if part.number == _SYMBOLS:
                symbols.append(text_of(content, part))
                if len(symbols) > MOST_SYMBOLS:
                    raise WriteTooLargeError(f"it holds over {MOST_SYMBOLS} symbols")
            elif part.number == _SERIES:
                series.append(message_of(part))
                written.seen_series += 1
            yield _STEP
        # Only now, for the schema lets the symbols follow the series.
        for part in series:
            self._series_v2(content, part, symbols, written)
            yield part.stop - part.start

    def _series_v2(
        self, content: bytes, series: Part, symbols: list[str], written: Written
    ) -> None:
        fields = SeriesFields.of(content, series, V2)
        references = references_of(fields.labels)
        texts = _texts(islice(references, 2), symbols)
        if texts[:1] == (NAME,) and texts[1] not in self._needed.names:
            written.pass_over(fields)
            return
        texts += _texts(islice(references, _MOST_REFERENCES), symbols)
        self._take(content, texts, lambda: labels_of_texts(texts), fields, written)

    def _take(
        self,
        content: bytes,
        key: Key,
        labels: Callable[[], dict[str, str]],
        fields: SeriesFields,
        written: Written,
    ) -> None:
        try:
            series = self._resolved(key, labels)
        except RefusedSeriesError as refused:
            written.refuse(len(fields.samples) + fields.histograms, str(refused))
            return
        if series is None:
            written.pass_over(fields)
        else:
            written.take(content, series, fields)

    def _resolved(self, key: Key, labels: Callable[[], dict[str, str]]) -> Series | None:
        try:
            return self._known[key]
        except KeyError:
            series = self._needed.series(labels())
        if self._known_bytes > _MOST_KNOWN_BYTES:
            self._known.clear()
            self._known_bytes = 0
        self._known[key] = series
        # Texts are objects each, however short they are.
        size = len(key) if isinstance(key, bytes) else sum(map(getsizeof, key))
        self._known_bytes += size + _KNOWN_BYTES
        return series


def _texts(references: Iterable[int], symbols: list[str]) -> tuple[str, ...]:
    """Give the names and values in turn."""
    try:
        texts = tuple([symbols[reference] for reference in references])
    except IndexError:
        raise UnreadableWriteError(
            f"a series refers to a symbol past the last of the {len(symbols)}"
        ) from None
    if texts and (len(texts) % 2 or symbols[0]):
        raise UnreadableWriteError(
            f"a series refers to {len(texts)} symbols, which are not pairs, or the first symbol "
            f"is not the empty text but {symbols[0][:40]!r}"
        )
    return texts
