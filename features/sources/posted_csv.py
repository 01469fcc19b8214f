"""Reads posted CSV some rows at a time: a header with the columns' names, and a line for each row.

Its cells become what JSON would have said: numbers, true and false, nothing where a cell is empty.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from features.errors import PostRefusedError
from features.sources.posted_cells import Block, check_count, check_names, check_needed

SLICE_ROWS = 128

# Python's own reading would take 1_000 and 1e5_0 too. Nothing is tried twice (`++`): strangers
# write what is read, and of many digits each would be tried with each.
_NUMBER = re.compile(r"[+-]?(\d++(?:\.\d*+)?|\.\d++)([eE][+-]?\d++)?", re.ASCII)
# No writer of numbers gives one more digits.
_LONGEST_NUMBER = 64
_WORDS: dict[str, Any] = {
    "": None,
    "null": None,
    "nan": None,
    "inf": float("inf"),
    "+inf": float("inf"),
    "-inf": float("-inf"),
    "infinity": float("inf"),
    "-infinity": float("-inf"),
    "true": True,
    "false": False,
}


def csv_blocks(raw: bytes) -> Iterator[Block]:
    """Give the body's rows, block by block."""
    reader = csv.reader(_lines(_text(raw)), strict=True)
    names = _header(reader)
    count = 0
    while some := _some(reader, count):
        rows = [row for row in some if row]
        count += len(rows)
        check_count(count)
        if rows:
            yield _block(names, rows, count - len(rows))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PostRefusedError("body", f"it is not UTF-8: {error}") from None


def _lines(text: str) -> Iterator[str]:
    """Give one line after another: to cut all at once would hold up others."""
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        yield text[at:end]
        at = end


def _header(reader: Iterator[list[str]]) -> list[str]:
    found = [name.strip() for name in next(iter(_some(reader, 0, 1)), [])]
    check_names(found)
    check_needed(found)
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise PostRefusedError(twice, "the column is there twice")
    return found


def _some(reader: Iterator[list[str]], before: int, most: int = SLICE_ROWS) -> list[list[str]]:
    try:
        return list(islice(reader, most))
    except csv.Error as error:
        raise PostRefusedError("body", f"behind row {before} it is no CSV: {error}") from None


def _block(names: Sequence[str], rows: Sequence[Sequence[str]], before: int) -> Block:
    for number, row in enumerate(rows, before + 1):
        if len(row) != len(names):
            raise PostRefusedError(
                "body", f"row {number} has {len(row)} values, but the header has {len(names)}"
            )
    columns = {
        name: [cell if name == "entity" else _cell(cell) for cell in cells]
        for name, cells in zip(names, zip(*rows, strict=True), strict=True)
    }
    return Block(len(rows), columns)


def _cell(text: str) -> Any:
    """Read a cell as JSON would have it; what is neither number nor known word stays text."""
    text = text.strip()
    if len(text) <= _LONGEST_NUMBER and _NUMBER.fullmatch(text):
        return float(text)
    return _WORDS.get(text.lower(), text)
