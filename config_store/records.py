"""Reads what is stored of steering, also where a later release has written more into it.

A platform that goes back to an earlier release goes on by what that one knows. What people send is
read elsewhere, and strictly: there an unknown field is a mistake, and is refused by its path.
"""

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

from pydantic import ValidationError

from settings.frozen import Frozen

log = logging.getLogger(__name__)

UNKNOWN_FIELD = "extra_forbidden"  # the name that pydantic has for such a fault
MOST_NAMED = 20

Record = TypeVar("Record", bound=Frozen)


def read_record(kind: type[Record], text: bytes | str) -> Record:
    """Read it without the fields that this release does not know; ValidationError says the rest."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as refusal:
        faults = refusal.errors(include_url=False, include_context=False, include_input=False)
        unknown = {_place(each["loc"]) for each in faults if each["type"] == UNKNOWN_FIELD}
        if not unknown:
            raise
    record = kind.model_validate_json(text, extra="ignore")
    _tell(kind.__name__, tuple(sorted(unknown)))
    return record


def _place(parts: Iterable[int | str]) -> str:
    """Name a field; of the numbers of versions and places it is all the same which."""
    return ".".join("*" if str(each).isdigit() else str(each) for each in parts)


@lru_cache(maxsize=64)
def _tell(kind: str, unknown: tuple[str, ...]) -> None:
    """Say it once in a process: a state is read anew with each change."""
    more = len(unknown) - MOST_NAMED
    log.warning(
        "A stored %s has fields that this release does not know, such as a later one writes: %s%s. "
        "They are passed over, and a change that this release makes leaves them out",
        kind,
        ", ".join(unknown[:MOST_NAMED]),
        f" and {more} more" if more > 0 else "",
    )
