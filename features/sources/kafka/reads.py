"""Which messages of a topic were taken, kept in the column store beside the rows they gave.

A read is noted before its rows are stored, with the moment at which they count as known. So
whoever dies in between finds it noted, takes exactly these messages once more, and stores equal
rows, which collapse to one. All reads before the last one are stored: the next is not noted before.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from features.sources.kafka.batch import Span
from features.telemetry.tables import ColumnStore

_READS = """
CREATE TABLE IF NOT EXISTS kafka_reads (
    source LowCardinality(String),
    topic LowCardinality(String),
    partition Int32,
    begins Int64,
    ends Int64,
    known DateTime64(3, 'UTC'),
    cadence UInt32
) ENGINE = ReplacingMergeTree(known)
PARTITION BY source
ORDER BY (source, topic, partition)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""
_NEWEST = """
SELECT partition, argMax(begins, known) AS first, argMax(ends, known) AS behind,
       argMax(cadence, known) AS seconds, toUnixTimestamp64Milli(max(known)) AS known_ms
FROM kafka_reads WHERE source = {source:String} AND topic = {topic:String}
GROUP BY partition
"""
_PRESENT = "SELECT DISTINCT source, _partition_id AS id FROM kafka_reads"


@dataclass(frozen=True, slots=True)
class Read:
    """One read: what it covers, when its rows count as known, and the intervals it was cut into."""

    spans: Mapping[int, Span]
    known_ms: int
    cadence_seconds: int


@dataclass(frozen=True, slots=True)
class ReadPositions:
    """How far each partition was read, and the last read, which may not be stored."""

    ends: Mapping[int, int] = field(default_factory=dict)
    last: Read | None = None


class KafkaReads:
    """The reads of one source's topic."""

    def __init__(self, store: ColumnStore, source: str, topic: str) -> None:
        self._store = store
        self._source = source
        self._topic = topic

    def taken(self) -> ReadPositions:
        """Tell where to go on; nothing is known of a topic that was never read."""
        self._store.execute(_READS)
        found = self._store.query(_NEWEST, {"source": self._source, "topic": self._topic})
        if not found:
            return ReadPositions()
        known_ms = max(int(row["known_ms"]) for row in found)
        last = [row for row in found if int(row["known_ms"]) == known_ms]
        spans = {int(row["partition"]): Span(int(row["first"]), int(row["behind"])) for row in last}
        ends = {int(row["partition"]): int(row["behind"]) for row in found}
        return ReadPositions(ends, Read(spans, known_ms, int(last[0]["seconds"])))

    def note(self, read: Read) -> None:
        """Note a read, before its rows are stored; it may be noted again."""
        count = len(read.spans)
        if not count:
            return
        columns = {
            "source": np.full(count, self._source),
            "topic": np.full(count, self._topic),
            "partition": np.array(list(read.spans), dtype=np.int32),
            "begins": np.array([each.begin for each in read.spans.values()], dtype=np.int64),
            "ends": np.array([each.end for each in read.spans.values()], dtype=np.int64),
            "known": np.full(count, read.known_ms).astype("datetime64[ms]"),
            "cadence": np.full(count, read.cadence_seconds, dtype=np.uint32),
        }
        self._store.insert("kafka_reads", columns)


def forget_other_reads(store: ColumnStore, sources: Collection[str]) -> None:
    """Forget how far sources were read that are none of these."""
    store.execute(_READS)
    for row in store.query(_PRESENT):
        if row["source"] not in sources:
            # A name of the engine's own, and it cannot be bound as a value.
            store.execute(f"ALTER TABLE kafka_reads DROP PARTITION ID '{row['id']}'")
