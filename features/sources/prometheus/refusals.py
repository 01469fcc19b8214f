"""What a server's refusal means: whose mistake it is, and what to do about it."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
    on_one_line,
)
from features.sources.http.connection import Answer

# How Prometheus, Thanos, Mimir and VictoriaMetrics say that a query is too large.
_TOO_MUCH: Final = re.compile(r"exceed|too many|too large|limit", re.IGNORECASE)
_QUERY_STATUSES: Final = (400, 413, 422)
_LEFT = range(300, 400)


class AskedServer(NamedTuple):
    """Which server was asked, and with what key."""

    source: str
    address: str
    key_file: Path | None


def content_of(server: AskedServer, answer: Answer) -> Any:
    """Give the `data` of a success; raise what a refusal means."""
    content = _parsed(answer.body)
    if answer.status == 200 and content.get("status") == "success":  # noqa: PLR2004 - HTTP's own
        return content.get("data")
    raise _refusal(server, answer, content)


def _refusal(server: AskedServer, answer: Answer, content: dict[str, Any]) -> Exception:
    reason, status, source = _reason(content), answer.status, server.source
    if status in (401, 403):
        return KeyRefusedError(source, f"it answered {status}{_about_the_key(server, status)}")
    if content.get("errorType") in ("timeout", "canceled"):
        return TooMuchAskedError(source, f"the query took too long there: {reason}")
    if status in _QUERY_STATUSES and _TOO_MUCH.search(reason):
        return TooMuchAskedError(source, reason)
    if status in _QUERY_STATUSES:
        return SourceRefusedError(source, f"{reason or status}. Correct its mapping.")
    if status >= 500:  # noqa: PLR2004 - HTTP's own
        return SourceAwayError(source, f"it answered {status}: {reason or 'no reason'}.")
    return SourceRefusedError(source, _no_prometheus(server, answer))


def _about_the_key(server: AskedServer, status: int) -> str:
    if server.key_file is None:
        return (
            f" at {server.address}: it asks for a key. Put a bearer token into a file, and name "
            "that with --token-file, which is the source's token_file."
        )
    if status == 403:  # noqa: PLR2004 - HTTP's own
        return (
            f" at {server.address}: the key in its token_file {server.key_file} may not read there."
        )
    return f" at {server.address}: check that the key in its token_file {server.key_file} is valid."


def _no_prometheus(server: AskedServer, answer: Answer) -> str:
    where = f"it answered {answer.status} at {server.address}"
    do = "Give the url under which /api/v1/query is, as in http://prometheus:9090."
    if answer.status in _LEFT:
        return f"{where}: it sends elsewhere, as a page to log in does. {do}"
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        return f"{where} with a web page, not as a Prometheus does. {do}"
    return f"{where}, not as a Prometheus does. {do}"


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _reason(content: dict[str, Any]) -> str:
    return on_one_line(str(content.get("error", ""))[:300])
