"""Looks at the newest messages of a topic once; nothing is noted, and no position moves."""

import time
from dataclasses import dataclass
from typing import Literal

from features.errors import NothingUsableError, PostRefusedError
from features.sources.kafka.batch import Message
from features.sources.kafka.config import KafkaTopic
from features.sources.kafka.messages import gathered, read_body
from features.sources.kafka.reader import TopicReader
from features.sources.source import Gathered

MESSAGES = 1_000
# A broker gives what is there much faster.
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest messages, and of how many partitions they are."""

    messages: tuple[Message, ...]
    partitions: int


def newest(source: str, topic: KafkaTopic, *, count: int = MESSAGES) -> Sample:
    """Read about so many of the newest messages; SourceAwayError, SourceRefusedError."""
    reader = TopicReader(source, topic)
    deadline = time.monotonic() + SECONDS
    found: list[Message] = []
    try:
        starts = reader.newest_starts(count)
        reader.open(starts)
        while not reader.all_read and len(found) < 2 * count and time.monotonic() < deadline:
            found += reader.read().messages
    finally:
        reader.close()
    return Sample(tuple(found), len(starts))


def format_of(source: str, sample: Sample) -> Literal["json", "csv"]:
    """Tell how the bodies are written, by what can be read."""
    if not sample.messages:
        raise NothingUsableError(
            f"the topic of {source} has no message yet. Write one, or say --format json or csv"
        )
    reasons = {}
    for csv in (False, True):
        for message in sample.messages[-20:]:
            try:
                read_body(message.body, csv=csv)
            except PostRefusedError as refusal:
                reasons[csv] = str(refusal)
            else:
                return "csv" if csv else "json"
    raise NothingUsableError(
        f"no message is telemetry as /telemetry takes it. As JSON: {reasons[False]}. As CSV: "
        f"{reasons[True]}"
    )


def rows_of(sample: Sample, topic: KafkaTopic, cadence_seconds: int, now: float) -> Gathered:
    """Give the rows of the messages, and what is wrong with them."""
    return gathered(
        sample.messages, csv=topic.format == "csv", now=now, cadence_seconds=cadence_seconds
    )
