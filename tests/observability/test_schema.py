import numpy as np
import pyarrow as pa
import pytest

from observability.clickhouse import Clickhouse
from observability.ledger.archive import _ROWS_BY_ID
from observability.schema import (
    DECISIONS,
    GRANULARITY,
    OPTIONAL_TABLES,
    TABLES,
    create_tables,
    refine_decisions,
)


def test_making_the_tables_again_changes_nothing(store: Clickhouse) -> None:
    _decisions(store, 2)
    create_tables(store)
    found = store.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert {row["name"] for row in found} == {*TABLES, *OPTIONAL_TABLES}
    assert store.query("SELECT count() AS n FROM decisions") == [{"n": 2}]


@pytest.mark.parametrize("table", ["decisions", "ledger_entries"])
def test_what_is_trimmed_from_redis_is_synced_to_the_disk(store: Clickhouse, table: str) -> None:
    (found,) = store.query(
        "SELECT create_table_query AS ddl FROM system.tables WHERE name = {t:String}", {"t": table}
    )
    assert "fsync_after_insert = 1" in found["ddl"]
    assert "fsync_part_directory = 1" in found["ddl"]


def test_a_lookup_by_ids_reads_few_granules(store: Clickhouse) -> None:
    _decisions(store, 20_000)
    ids = [_id(n) for n in (7, 7_000, 19_999)]
    plan = store.query(f"EXPLAIN indexes = 1 {_ROWS_BY_ID}", {"ids": ids})
    granules = [line for row in plan if "Granules: " in (line := str(row["explain"]))]
    read, there = granules[-1].split("Granules: ")[1].rstrip("'").split("/")
    assert int(read) <= 2 * len(ids)
    assert int(there) >= 20_000 // GRANULARITY
    assert len(store.query(_ROWS_BY_ID, {"ids": ids})) == len(ids)


def test_the_table_of_an_earlier_release_gets_its_finer_index_and_keeps_its_rows(
    embedded: Clickhouse,
) -> None:
    usual = DECISIONS.replace(f"index_granularity = {GRANULARITY}, ", "")
    assert usual != DECISIONS
    embedded.execute(usual)
    create_tables(embedded)
    _decisions(embedded, 3_000)
    embedded.execute("CREATE TABLE decisions_refined AS decisions")  # one was killed half way
    assert refine_decisions(embedded) is True
    assert refine_decisions(embedded) is False
    _decisions(embedded, 4_000)
    (found,) = embedded.query("SELECT count() AS n, uniq(decision_id) AS ids FROM decisions")
    assert found == {"n": 7_000, "ids": 4_000}
    tables = embedded.query("SELECT name FROM system.tables WHERE database = currentDatabase()")
    assert {row["name"] for row in tables} == {*TABLES, *OPTIONAL_TABLES}
    embedded.execute("OPTIMIZE TABLE decisions FINAL")
    (part,) = embedded.query("SELECT marks FROM system.parts WHERE active AND table = 'decisions'")
    assert part["marks"] >= 4_000 // GRANULARITY


def _decisions(store: Clickhouse, n: int) -> None:
    rows = [b'{"decision_id":"%s"}' % _id(at).encode() for at in range(n)]
    store.insert(
        "decisions",
        {
            "created": np.full(n, 0).astype("datetime64[ms]"),
            "writer": ["w"] * n,
            "seq": np.arange(n, dtype=np.uint64),
            "leaf": np.zeros(n, dtype=np.uint32),
            "row": pa.array(rows, pa.binary()),
        },
    )


def _id(n: int) -> str:
    return f"{n:08x}-0000-7000-8000-000000000000"
