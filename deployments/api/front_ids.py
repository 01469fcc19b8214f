"""The id that the front gives a request: the same one each time that it sends it to a gateway.

A gateway may carry a command out and die before it answers; the front then sends the request to
another one. By this id whoever carried it out answers as the first time. No client can give it: the
front drops the header where one comes with it, and a gateway without a front does not read it.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from hashlib import blake2s

from observability.ledger.decision import same_ids

HEADER = "X-Ballast-Front-Id"
# What HAProxy makes: milliseconds since 1970, by which decisions sort, and random digits.
FORMAT = "%[date(0,ms)]-%[uuid()]"
_MS_DIGITS = 13
_FORM = re.compile(rb"\d{13}-[0-9a-f-]{36}")
_NAME = HEADER.lower().encode()

# Of the request that is being answered; "" where no front gave one.
front_id: ContextVar[str] = ContextVar("front_id", default="")


def given_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Read the front's id off a request, or "" where it has none."""
    for name, value in headers:
        if name == _NAME and _FORM.fullmatch(value):
            return value.decode()
    return ""


def decisions_of(given: str, rows: int) -> list[str]:
    """Name the decisions that a request's rows are, whichever gateway has them made."""
    return same_ids(int(given[:_MS_DIGITS]), given, rows) if given else []


def id_for(what: str, digits: int) -> str:
    """Name what the request that is being answered makes; "" where no front gave it an id."""
    given = front_id.get()
    if not given:
        return ""
    return blake2s(f"{what} {given}".encode(), digest_size=digits // 2).hexdigest()
