"""Logs as JSON lines, without secrets and without what clients sent."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson

REDACTED = "[redacted]"
WITHHELD = "[withheld]"
# Of a role's file; then it is begun anew, and the one before is kept.
LARGEST_BYTES = 64 * 1024 * 1024

# The requests that the running task works for: one, or those that share a batch. Whoever takes a
# request or a batch in sets it; every line logged on its behalf then carries them.
request_ids: ContextVar[Sequence[str]] = ContextVar("request_ids", default=())
# A line about a large batch names the first of its requests and says how many there are.
MOST_NAMED_REQUESTS = 16

_NAMES_OF_SECRETS = (
    r"(?:proxy-)?authorization|x-api-key|api[_-]?key|apikey|pass(?:word|wd|phrase)|pwd"
    r"|secret(?:[_-]?key)?|client[_-]?secret|(?:access|refresh|auth|id)?[_-]?token|set-cookie|cookie"
)
_SECRET_NAME = re.compile(rf"(?:.*[_.-])?(?:{_NAMES_OF_SECRETS})", re.IGNORECASE)
_BODY_NAME = re.compile(r"(?:.*[_.-])?(?:body|payload|rows?|content|form|json)", re.IGNORECASE)

_QUOTE = r"\\?[\"']"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\bballast_[\w-]{6,}"), REDACTED),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\b(bearer)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@]{0,256}):[^\s/@]+@"), rf"\1:{REDACTED}@"),
    # "password": "...", and the pairs in which servers keep headers: (b'x-api-key', b'...')
    (
        re.compile(
            rf"({_QUOTE}[\w.-]{{0,64}}?(?:{_NAMES_OF_SECRETS}){_QUOTE}\s*[:=,]\s*b?)({_QUOTE})(?:(?!\2).)*\2",
            re.IGNORECASE | re.DOTALL,
        ),
        rf"\1\2{REDACTED}\2",
    ),
    # password=..., Authorization: Basic ...
    (
        re.compile(
            rf"({_NAMES_OF_SECRETS})(\s*[:=]\s*)(?:(?:basic|bearer|digest|apikey)\s+)?"
            rf"(?:{_QUOTE}(?:[^\"'\\]|\\.)*{_QUOTE}|[^\s\"',;&)}}\]]+)",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
)

# Ray gives each record a time of its own, in nanoseconds.
_RAYS = {"_ray_timestamp_ns"}
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"} | _RAYS


def redact(text: str) -> str:
    """Take out whatever looks like a key, a token or a password."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, fields, exception.

    Fields are what a call gives in `extra`. A line about several requests has request_ids instead,
    and requests, their number, where not all are named.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _text(record.getMessage()),
        }
        line |= _requests(request_ids.get())
        if fields := {_text(k): _field(k, v) for k, v in vars(record).items() if k not in _OWN}:
            line["fields"] = fields
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _text("".join(traceback.format_exception(record.exc_info[1])))
        if record.stack_info:
            line["stack"] = _text(record.stack_info)
        return orjson.dumps(line).decode()


def _requests(ids: Sequence[str]) -> dict[str, Any]:
    """Name the requests that a line is about."""
    if not ids:
        return {}
    if len(ids) == 1:
        return {"request_id": _text(ids[0])}
    named: dict[str, Any] = {"request_ids": [_text(each) for each in ids[:MOST_NAMED_REQUESTS]]}
    return named | ({"requests": len(ids)} if len(ids) > MOST_NAMED_REQUESTS else {})


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to one stream, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It logs every URL that it calls, with what was asked.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def write_logs(folder: Path, role: str, level: str) -> None:
    """Append what this process logs to its role's file; lines of several processes interleave.

    Not to the error stream: Serve takes that over in its replicas and holds lines back by the
    thousand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{role}.jsonl"
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        path.replace(folder / f"{role}.old.jsonl")
    # Unbuffered appends of whole lines do not mix; the file stays open as long as the process.
    set_up(level, path.open("a", buffering=1))


def _field(name: str, value: Any) -> Any:
    if _SECRET_NAME.fullmatch(name):
        return REDACTED
    if _BODY_NAME.fullmatch(name) and not isinstance(value, int | float):
        return WITHHELD
    match value:
        case None | bool() | int() | float():
            return value if not isinstance(value, int) or abs(value) < 1 << 63 else str(value)
        case Mapping():
            return {_text(str(k)): _field(str(k), v) for k, v in value.items()}
        case Sequence() if not isinstance(value, str | bytes | bytearray):
            return [_field("", item) for item in value]
        case _:
            return _text(str(value))


def _text(text: str) -> str:
    # A lone surrogate, from a file name or a hostile client, is no valid text in a JSON line.
    return redact(text.encode("utf-8", "backslashreplace").decode())
