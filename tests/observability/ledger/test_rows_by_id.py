"""The copy of each row by its id, over both ways to ClickHouse."""

import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from observability.clickhouse import Clickhouse, Column, Params
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.archive import Archive
from observability.ledger.entry import NO_HASH, Entry, Header
from observability.ledger.rows_by_id import RowsById
from observability.schema import DECISION_ROWS, create_tables

TABLE_EMPTIED = "TRUNCATE TABLE decisions"


def an_id(n: int) -> str:
    return f"{n:08x}-0000-7000-8000-000000000000"


def rows_of(numbers: range) -> dict[str, bytes]:
    return {an_id(n): b'{"decision_id":"%s","odd":"\xc3\xa9"}' % an_id(n).encode() for n in numbers}


def entry(rows: Mapping[str, bytes], seq: int = 1) -> Entry:
    header = Header("w", seq, 1_700_000_000_000, len(rows))
    return Entry(header, NO_HASH, seq.to_bytes(32), tuple(rows.values()))


@pytest.fixture
def tables(either: Clickhouse) -> Clickhouse:
    create_tables(either)
    return either


@pytest.fixture
def older(tables: Clickhouse) -> Clickhouse:
    """Archive ten rows as a release without the copy did, one of them twice."""
    tables.execute("DROP TABLE decision_rows")
    Archive(tables).add([entry(rows_of(range(10))), entry(rows_of(range(4, 5)), seq=2)])
    create_tables(tables)
    return tables


def test_what_is_archived_is_found_without_the_table(tables: Clickhouse) -> None:
    rows = rows_of(range(3))
    Archive(tables).add([entry(rows)])
    tables.execute(TABLE_EMPTIED)
    assert Archive(tables).rows([*rows, an_id(9)]) == rows


def test_what_the_copy_lacks_is_found_in_the_table(tables: Clickhouse) -> None:
    rows = rows_of(range(3))
    Archive(tables).add([entry(rows)])
    tables.execute("TRUNCATE TABLE decision_rows")
    RowsById(tables).add(pa.array([rows[an_id(1)]], pa.binary()))
    assert Archive(tables).rows([*rows, an_id(9)]) == rows


def test_an_older_archive_is_copied_newest_first(older: Clickhouse) -> None:
    rows = rows_of(range(10))
    copy = RowsById(older, fill_rows=4)
    assert copy.find([*rows]) == {}
    assert copy.fill() is True
    found = copy.find([*rows])
    assert max(rows) in found
    assert min(rows) not in found
    while copy.fill():
        assert found.items() < copy.find([*rows]).items()
        found = copy.find([*rows])
    assert copy.find([*rows]) == rows
    older.execute("TRUNCATE TABLE decision_rows")
    assert copy.fill() is False  # it is done with it


def test_what_is_archived_meanwhile_is_not_for_the_copying(older: Clickhouse) -> None:
    copy = RowsById(older, fill_rows=4)
    copy.fill()
    late, new = rows_of(range(20, 21)), rows_of(range(30, 31))
    Archive(older).add([entry(late, seq=3), entry(new, seq=4)])
    while copy.fill():
        continue
    everything = rows_of(range(10)) | late | new
    assert copy.find([*everything]) == everything


class Killed(BaseException):
    """The process ends here."""


class KilledAt:
    """The engine, in a process that is killed at its n-th statement: before it, or just after."""

    def __init__(self, store: Clickhouse, nth: int, *, after: bool) -> None:
        self._store = store
        self._left = nth
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def query(self, sql: str, params: Params | None = None) -> Any:
        return self._until_killed(lambda: self._store.query(sql, params))

    def insert(self, table: str, columns: Mapping[str, Column]) -> None:
        self._until_killed(lambda: self._store.insert(table, columns))

    def _until_killed(self, statement: Any) -> Any:
        self._left -= 1
        answer = statement() if self._left or self._after else None
        if not self._left:
            raise Killed
        return answer


@pytest.mark.parametrize("nth", range(1, 10))
@pytest.mark.parametrize("after", [False, True])
def test_killed_anywhere_the_copying_goes_on(older: Clickhouse, nth: int, after: bool) -> None:
    with pytest.raises(Killed):
        _fill(RowsById(KilledAt(older, nth, after=after), fill_rows=4))
    again = RowsById(older, fill_rows=4)
    _fill(again)
    rows = rows_of(range(10))
    assert again.find([*rows]) == rows


def _fill(copy: RowsById) -> None:
    while copy.fill():
        continue


def test_one_that_starts_again_copies_nothing_twice(older: Clickhouse) -> None:
    _fill(RowsById(older, fill_rows=4))
    older.execute(f"DELETE FROM decision_rows WHERE decision_id = '{an_id(3)}'")  # noqa: S608
    copy = RowsById(older, fill_rows=4)
    assert copy.fill() is False
    assert copy.find([an_id(3)]) == {}


def test_how_far_it_is_is_no_decision(older: Clickhouse) -> None:
    RowsById(older, fill_rows=4).fill()
    keys = [row["decision_id"] for row in older.query("SELECT decision_id FROM decision_rows")]
    marks = [each for each in keys if each not in rows_of(range(10))]
    assert len(marks) == 1
    assert Archive(older).rows(marks) == {}


def test_a_store_that_has_no_such_table_is_searched_as_before(
    tables: Clickhouse, caplog: pytest.LogCaptureFixture
) -> None:
    tables.execute("DROP TABLE decision_rows")
    rows = rows_of(range(3))
    archive = Archive(tables)
    assert archive.add([entry(rows)]) == [0]
    assert archive.rows([*rows, an_id(9)]) == rows
    assert archive.fill_rows_by_id() is False
    warnings = [
        each.message for each in caplog.records if "only in the archive's table" in each.message
    ]
    assert len(warnings) == 1


class WithoutRocksDB:
    """A server that was built without the engine of that table."""

    def __init__(self, store: Clickhouse) -> None:
        self._store = store

    def execute(self, sql: str) -> None:
        self._store.execute(sql.replace("EmbeddedRocksDB", "NoSuchEngine"))


def test_a_server_without_the_engine_is_no_hindrance(either: Clickhouse) -> None:
    create_tables(WithoutRocksDB(either))  # type: ignore[arg-type] # it executes, and that is all
    rows = rows_of(range(3))
    Archive(either).add([entry(rows)])
    assert Archive(either).rows([*rows]) == rows


KEEP = f"""
import pathlib, sys
import pyarrow as pa
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.rows_by_id import RowsById
store = EmbeddedClickhouse(pathlib.Path(sys.argv[1]))
store.execute({DECISION_ROWS!r})
RowsById(store).add(pa.array({list(rows_of(range(3)).values())!r}, pa.binary()))
print("stored", flush=True)
sys.stdin.read()
"""


def test_kill_9_loses_nothing_of_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KEEP, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"stored\n"
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    rows = rows_of(range(3))
    with EmbeddedClickhouse(tmp_path) as store:
        assert RowsById(store).find([*rows]) == rows
