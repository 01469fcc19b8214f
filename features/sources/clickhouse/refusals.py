"""What a refusal of ClickHouse means: whose mistake it is, and what to do about it."""

import re
from typing import Final

from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
    on_one_line,
)
from features.sources.http.connection import Answer

# By https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: too many rows
# or bytes, to read or in the answer; too slow; out of time; out of the memory of a query.
_TOO_MUCH: Final = {158, 160, 159, 241, 307, 396}
# Authentication, a user or an address that is not let in, a right that the user lacks.
_NOT_LET_IN: Final = {192, 193, 194, 195, 497, 516}
_READ_ONLY: Final = 164
# The statement's own mistakes, some of which are answered with 500.
_STATEMENT: Final = {
    *(6, 8, 16, 19, 27, 35, 36, 38, 41, 42, 43, 44, 46, 47, 48, 53, 57, 60, 62, 63, 69, 70, 72),
    *(81, 153, 179, 184, 206, 207, 215, 349, 352, 386, 395, 407, 456, 457),
}
_CODE: Final = re.compile(r"Code: (\d+)\.")
_REASON: Final = re.compile(r"^Code: \d+\.\s*(?:DB::Exception:\s*)+", re.IGNORECASE)
# What newer servers quote of the statement; it may hold what was bound.
_QUOTED: Final = re.compile(r"\.?\s*In scope .*?(?=\s*\([A-Z_]+\)|$)", re.DOTALL)
_VERSION: Final = re.compile(r"\s*\(version [^)]*\)\s*$")
_SERVER_ERROR: Final = 500


def refusal(source: str, answer: Answer) -> Exception:
    """Give what an answer means that is no success."""
    code, reason = code_of(answer), reason_in(answer.body)
    if code is None and answer.status in (401, 403):
        return _not_let_in(source, f"it answered {answer.status}")
    if code is None and answer.status >= _SERVER_ERROR:
        return SourceAwayError(source, f"it answered {answer.status}: {reason or 'no reason'}.")
    if code is None:
        return SourceRefusedError(
            source,
            f"it answered {answer.status}, not as a ClickHouse does. See what stands at its url.",
        )
    return by_code(source, code, reason, lasting=answer.status < _SERVER_ERROR)


def by_code(source: str, code: int, reason: str, *, lasting: bool) -> Exception:
    """Give what an exception of the engine means; `lasting` where the code is not known here."""
    if code in _TOO_MUCH:
        return TooMuchAskedError(source, f"the query is too large there: {reason}")
    if code in _NOT_LET_IN:
        return _not_let_in(source, reason)
    if code == _READ_ONLY:
        return SourceRefusedError(
            source, f"{reason}. Only what reads is asked: correct its SQL, or its user's profile."
        )
    if code in _STATEMENT or lasting:
        return SourceRefusedError(source, f"{reason}. Correct its SQL or its columns.")
    return SourceAwayError(source, f"it failed with code {code}: {reason}.")


def code_of(answer: Answer) -> int | None:
    """Tell which exception it was; None where no ClickHouse speaks."""
    told = answer.headers.get("x-clickhouse-exception-code", "")
    if told.isdecimal():
        return int(told)
    return code_in(answer.body.decode(errors="replace"))


def code_in(text: str) -> int | None:
    found = _CODE.search(text[:2000])
    return None if found is None else int(found[1])


def reason_in(body: bytes) -> str:
    """Quote the reason, without the engine's words around it."""
    text = _REASON.sub("", body[:8000].decode(errors="replace").strip())
    text = _QUOTED.sub("", _VERSION.sub("", text))
    return on_one_line(text[:300]).rstrip(". ")


def _not_let_in(source: str, reason: str) -> KeyRefusedError:
    return KeyRefusedError(
        source, f"{reason}. See whether its user may read there, and its password_file is valid."
    )
