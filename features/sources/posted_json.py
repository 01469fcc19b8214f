"""Reads posted JSON a slice at a time: a list of rows, one row, or columns.

To parse a body of megabytes in one piece takes a tenth of a second, in which a gateway would answer
nobody. So rows are found without parsing them, some hundred at once, and each slice is parsed by
itself. Rows are flat: objects of plain values.
"""

import re
from collections.abc import Generator, Iterator
from typing import Any

from pydantic_core import from_json

from features.errors import PostRefusedError
from features.sources.posted_cells import (
    NEEDED,
    Block,
    check_count,
    check_names,
    check_needed,
    quote,
)

# Of both together about a millisecond's work.
SLICE_ROWS = 256
SLICE_CELLS = 4096
# No row is nearly as long.
SLICE_BYTES = 64 * 1024

_SPACE = rb"[ \t\r\n]*+"
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_ROW = rb'\{[^"{}\[\]]*+(?:' + _STRING + rb'[^"{}\[\]]*+)*+\}'
# What follows is looked at, for a slice may end within a number.
_CELL = rb'(?:[^"{}\[\],:\s]++|' + _STRING + rb")(?=" + _SPACE + rb"[,\]])"


def _some(item: bytes, most: int) -> re.Pattern[bytes]:
    comma = _SPACE + rb"," + _SPACE
    return re.compile(item + rb"(?:" + comma + item + rb"){0,%d}+" % (most - 1), re.DOTALL)


_ONE_ROW = re.compile(_SPACE + _ROW + _SPACE, re.DOTALL)
_ROWS = _some(_ROW, SLICE_ROWS)
_CELLS = _some(_CELL, SLICE_CELLS)
_LIST = re.compile(_SPACE + rb"\[" + _SPACE)
_NAMED_ROWS = re.compile(
    _SPACE + rb"\{" + _SPACE + rb'"rows"' + _SPACE + rb":" + _SPACE + rb"\[" + _SPACE
)
_COLUMNS = re.compile(
    _SPACE + rb"\{" + _SPACE + rb'"columns"' + _SPACE + rb":" + _SPACE + rb"\{" + _SPACE
)
_NAME = re.compile(rb"(" + _STRING + rb")" + _SPACE + rb":" + _SPACE + rb"\[" + _SPACE, re.DOTALL)
_COMMA = re.compile(_SPACE + rb"," + _SPACE)
_END_OF_LIST = re.compile(_SPACE + rb"\]")
_ENDS = {
    _LIST: re.compile(_SPACE + rb"\]" + _SPACE),
    _NAMED_ROWS: re.compile(_SPACE + rb"\]" + _SPACE + rb"\}" + _SPACE),
    _COLUMNS: re.compile(_SPACE + rb"\}" + _SPACE + rb"\}" + _SPACE),
}
_BOM = b"\xef\xbb\xbf"
_FORMS = (
    'the body is none of: a list of rows, {"rows": [...]}, {"columns": {"entity": [...], '
    '"ts": [...], ...}}, or one row {"entity": "...", "ts": ..., ...}'
)


def json_blocks(raw: bytes) -> Iterator[Block]:
    """Give the body's rows, block by block; blocks without rows are only there to take turns."""
    raw = raw.removeprefix(_BOM)
    for head in (_LIST, _NAMED_ROWS):
        if found := head.match(raw):
            yield from _row_blocks(raw, found.end(), _ENDS[head])
            return
    if found := _COLUMNS.match(raw):
        yield from _column_blocks(raw, found.end())
        return
    if len(raw) <= SLICE_BYTES and _ONE_ROW.fullmatch(raw):
        yield _block(_parsed_rows(b"[" + raw + b"]", 0))
        return
    raise PostRefusedError("body", _FORMS)


def _row_blocks(raw: bytes, at: int, end: re.Pattern[bytes]) -> Iterator[Block]:
    count = 0
    if end.fullmatch(raw, at):
        return
    while True:
        found = _ROWS.match(raw, at, at + SLICE_BYTES)
        if found is None:
            raise _no_row(count, at)
        rows = _parsed_rows(b"[" + found[0] + b"]", count)
        count += len(rows)
        check_count(count)
        yield _block(rows)
        if end.fullmatch(raw, found.end()):
            return
        comma = _COMMA.match(raw, found.end())
        if comma is None:
            raise _no_row(count, found.end())
        at = comma.end()


def _no_row(count: int, at: int) -> PostRefusedError:
    return PostRefusedError(
        "body",
        f"behind row {count}, at byte {at}, there is neither another row nor the end: a row is an "
        f"object of plain values, of at most {SLICE_BYTES} bytes",
    )


def _parsed_rows(raw: bytes, before: int) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = from_json(raw)
    except ValueError:
        raise _first_fault(raw, before) from None
    return rows


def _first_fault(raw: bytes, before: int) -> PostRefusedError:
    """Name the first row that is no JSON."""
    for number, found in enumerate(re.finditer(_ROW, raw, re.DOTALL), before + 1):
        try:
            from_json(found[0])
        except ValueError as error:
            return PostRefusedError("body", f"row {number} is no JSON: {error}")
    return PostRefusedError("body", f"a row behind row {before} is no JSON")


def _block(rows: list[dict[str, Any]]) -> Block:
    names = set().union(*rows)
    check_names(names)
    return Block(len(rows), {name: [row.get(name) for row in rows] for name in names})


def _column_blocks(raw: bytes, at: int) -> Iterator[Block]:
    columns: dict[str, list[Any]] = {}
    end = _ENDS[_COLUMNS]
    while not end.fullmatch(raw, at):
        if columns:
            at = _after(_COMMA, raw, at, "the columns")
        found = _NAME.match(raw, at)
        if found is None:
            raise PostRefusedError("columns", f"there is no column at byte {at}")
        name = _parsed(found[1], "columns")
        check_names([name])
        if name in columns:
            raise PostRefusedError(name, "the column is there twice")
        columns[name] = []
        at = yield from _read_cells(raw, found.end(), name, columns[name])
    yield from _cut(columns)


def _read_cells(raw: bytes, at: int, name: str, cells: list[Any]) -> Generator[Block, None, int]:
    """Fill in a column's cells, and give the place behind it."""
    while (closed := _END_OF_LIST.match(raw, at)) is None:
        if cells:
            at = _after(_COMMA, raw, at, name)
        found = _CELLS.match(raw, at, at + SLICE_BYTES)
        if found is None:
            raise PostRefusedError(name, f"at byte {at} there is no plain value")
        cells += _parsed(b"[" + found[0] + b"]", name)
        check_count(len(cells))
        at = found.end()
        yield Block(0, {})
    return closed.end()


def _after(pattern: re.Pattern[bytes], raw: bytes, at: int, name: str) -> int:
    found = pattern.match(raw, at)
    if found is None:
        raise PostRefusedError(name, f"at byte {at} there is neither a comma nor the end")
    return found.end()


def _parsed(raw: bytes, name: str) -> Any:
    try:
        return from_json(raw)
    except ValueError as error:
        raise PostRefusedError(name, f"it is no JSON: {error}") from None


def _cut(columns: dict[str, list[Any]]) -> Iterator[Block]:
    check_needed(columns)
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        name, other = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise PostRefusedError(
            name, f"it has {lengths[name]} values, but {quote(other)} has {lengths[other]}"
        )
    rows = len(columns[NEEDED[0]])
    for at in range(0, rows, SLICE_ROWS):
        some = {name: cells[at : at + SLICE_ROWS] for name, cells in columns.items()}
        yield Block(min(SLICE_ROWS, rows - at), some)
