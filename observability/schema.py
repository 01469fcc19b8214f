"""The tables of the ledger in the column store; features/telemetry/tables.py has telemetry's.

Rows may arrive twice (a drain killed between its insert and its mark): the tables collapse equal
keys, and queries that count say FINAL.
"""

import logging

from observability.clickhouse import Clickhouse
from observability.errors import QueryRejectedError

log = logging.getLogger(__name__)

# What people filter by is taken from the row by the engine, so that it cannot disagree with what
# was hashed. All of it in one expression: the engine then parses each row once, not once a column.
_HEAD = (
    "JSONExtract(row, 'Tuple(decision_id String, endpoint String, entity String, family String, "
    "model_version String, config_version UInt64)')"
)

# A lookup by id reads a granule: 8,192 rows, the usual number, are over 10 MB of them. The index of
# 10 million decisions has 20,000 marks of it, a megabyte.
GRANULARITY = 512

# Merkle proofs need the row's exact bytes, so `row` is the truth. What is stored here is trimmed
# from Redis, hence the fsyncs.
DECISIONS = f"""
CREATE TABLE IF NOT EXISTS decisions (
    decision_id String DEFAULT tupleElement({_HEAD}, 'decision_id'),
    created DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    writer LowCardinality(String),
    seq UInt64,
    leaf UInt32,
    endpoint LowCardinality(String) DEFAULT tupleElement({_HEAD}, 'endpoint'),
    entity LowCardinality(String) DEFAULT tupleElement({_HEAD}, 'entity'),
    family LowCardinality(String) DEFAULT tupleElement({_HEAD}, 'family'),
    model_version LowCardinality(String) DEFAULT tupleElement({_HEAD}, 'model_version'),
    config_version UInt64 DEFAULT tupleElement({_HEAD}, 'config_version'),
    row String CODEC(ZSTD),
    INDEX by_created created TYPE minmax GRANULARITY 1
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(created)
ORDER BY (decision_id, writer, seq, leaf)
SETTINGS index_granularity = {GRANULARITY}, fsync_after_insert = 1, fsync_part_directory = 1
"""

# The hash is part of the key: two different entries under one number stay side by side, so that
# the audit sees the forgery.
LEDGER_ENTRIES = """
CREATE TABLE IF NOT EXISTS ledger_entries (
    writer LowCardinality(String),
    seq UInt64,
    created DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    rows UInt32,
    prev_hash String,
    root String,
    entry_hash String
) ENGINE = ReplacingMergeTree
ORDER BY (writer, seq, entry_hash)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# Each row once more, by its id alone, for who looks one up (observability/ledger/rows_by_id.py).
# Through a log of its own, not by a file for each insert: those would be files by the million.
DECISION_ROWS = """
CREATE TABLE IF NOT EXISTS decision_rows (
    decision_id String DEFAULT JSONExtractString(row, 'decision_id'),
    row String
) ENGINE = EmbeddedRocksDB
PRIMARY KEY decision_id
SETTINGS optimize_for_bulk_insert = 0
"""

# The id is a hash of the content: what is equal in it is equal in all but when it was known, of
# which the first counts. What is stored here is trimmed from Redis, hence the fsyncs.
TIMELINE = """
CREATE TABLE IF NOT EXISTS timeline (
    time DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    known DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    kind LowCardinality(String),
    entity LowCardinality(String),
    source LowCardinality(String),
    summary String CODEC(ZSTD),
    details String CODEC(ZSTD),
    id String,
    earliness UInt64 MATERIALIZED 9223372036854775807 - toUnixTimestamp64Milli(known)
) ENGINE = ReplacingMergeTree(earliness)
ORDER BY (time, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

TABLES = {"decisions": DECISIONS, "ledger_entries": LEDGER_ENTRIES, "timeline": TIMELINE}
# What a server may be built without.
OPTIONAL_TABLES = {"decision_rows": DECISION_ROWS}


def create_tables(store: Clickhouse) -> None:
    """Make what is missing; what exists is left as it is."""
    for statement in TABLES.values():
        store.execute(statement)
    for name, statement in OPTIONAL_TABLES.items():
        try:
            store.execute(statement)
        except QueryRejectedError as error:
            log.warning(
                "ClickHouse cannot create the table %s, and lookups work without it: %s",
                name,
                error,
            )


def refine_decisions(store: Clickhouse) -> bool:
    """Give the table of an earlier release its finer index; says whether that was to be done.

    Its parts are taken over as they are, by links, and rewritten when they are merged. Killed
    anywhere, it begins anew; nothing else may write meanwhile, as is so when the engine is embedded
    and its owner just starts.
    """
    store.execute("DROP TABLE IF EXISTS decisions_refined")
    (table,) = store.query("SELECT engine_full FROM system.tables WHERE name = 'decisions'")
    if f"index_granularity = {GRANULARITY}," in table["engine_full"]:
        return False
    store.execute(DECISIONS.replace("EXISTS decisions", "EXISTS decisions_refined"))
    for part in store.query(_PARTITIONS):
        # A name of the engine's own, and it cannot be bound as a value.
        store.execute(
            f"ALTER TABLE decisions_refined ATTACH PARTITION ID '{part['id']}' FROM decisions"
        )
    store.execute("EXCHANGE TABLES decisions AND decisions_refined")
    store.execute("DROP TABLE decisions_refined")
    return True


_PARTITIONS = """
SELECT DISTINCT partition_id AS id FROM system.parts WHERE active AND table = 'decisions'
"""
