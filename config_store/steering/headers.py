"""What the record of a published version says besides its document."""

from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import orjson


class Header(NamedTuple):
    """Empty where it cannot be read: the version is there all the same."""

    number: int
    content_hash: str
    author: str
    message: str
    created: float
    withdrawn: bool = False  # then there is no document beside it any more
    co_authors: tuple[str, ...] = ()


def header_of_line(line: bytes) -> Header:
    """Read what the script READ took from a record."""
    fields = orjson.loads(line)
    return _header(fields["number"], fields)


def header_of_record(number: int, record: bytes) -> Header:
    with suppress(ValueError):
        fields = orjson.loads(record)
        if isinstance(fields, dict):
            return _header(number, fields)
    return _header(number, {})


def _header(number: int, fields: dict[str, Any]) -> Header:
    return Header(
        number=number,
        content_hash=str(fields.get("config_hash", "")),
        author=str(fields.get("author", "")),
        message=str(fields.get("reason", "")),
        created=_seconds(str(fields.get("created", ""))),
        withdrawn=fields.get("withdrawn") is True,
        co_authors=_names(fields.get("co_authors")),
    )


def _names(found: Any) -> tuple[str, ...]:
    return tuple(map(str, found)) if isinstance(found, list) else ()


def _seconds(created: str) -> float:
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return 0.0
