"""What a server's refusal means: whose mistake it is, and what to do about it."""

import re
from typing import Any, Final

import orjson

from features.errors import SourceAwayError, SourceRefusedError, TooMuchAskedError
from features.sources.http.connection import Answer

# How Prometheus, Thanos, Mimir and VictoriaMetrics say that a query is too large.
_TOO_MUCH: Final = re.compile(r"exceed|too many|too large|limit", re.IGNORECASE)
_QUERY_STATUSES: Final = (400, 413, 422)
_WHERE: Final = "See what stands at its url."


def content_of(source: str, answer: Answer) -> Any:
    """Give the `data` of a success; raise what a refusal means."""
    content = _parsed(answer.body)
    if answer.status == 200 and content.get("status") == "success":  # noqa: PLR2004 - HTTP's own
        return content.get("data")
    raise _refusal(source, answer.status, content)


def _refusal(source: str, status: int, content: dict[str, Any]) -> Exception:
    reason = _said(content)
    if content.get("errorType") in ("timeout", "canceled"):
        return TooMuchAskedError(source, f"the query took too long there: {reason}")
    if status in _QUERY_STATUSES and _TOO_MUCH.search(reason):
        return TooMuchAskedError(source, reason)
    if status in _QUERY_STATUSES:
        return SourceRefusedError(source, f"{reason or status}. Correct its mapping.")
    if status >= 500:  # noqa: PLR2004 - HTTP's own
        return SourceAwayError(source, f"it answered {status}: {reason or 'no reason'}.")
    return SourceRefusedError(source, f"it answered {status}, not as a Prometheus does. {_WHERE}")


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _said(content: dict[str, Any]) -> str:
    """Quote the server's reason, without what could break a line of a log."""
    reason = str(content.get("error", ""))[:300]
    return "".join(letter if letter.isprintable() else " " for letter in reason)
