"""Reads what an earlier release stored: a published version does not change, the release does."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

from config_store.document import FamilyServing, Serving
from config_store.shipped import default_document

# Every family once had these; now only those whose endpoint reads them.
ONCE_IN_EVERY_FAMILY = frozenset({"model", "alias", "slo_ms"})


def brought_up(text: bytes) -> bytes:
    """Write a stored document as one of this release; what is wrong with it stays wrong.

    Families that the earlier release did not know of are added, with their safety policies.
    """
    try:
        fields = orjson.loads(text)
        served, judged = fields["serving"], fields["safety"]["families"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return text
    if not (isinstance(served, dict) and isinstance(judged, dict)):
        return text
    shipped = _shipped()
    serving = {family: _without_unread(family, each) for family, each in served.items()}
    fields["serving"] = shipped["serving"] | serving
    if fields["serving"].keys() != serving.keys():
        fields["safety"]["families"] = shipped["safety"]["families"] | judged
    return orjson.dumps(fields)


@cache
def _shipped() -> Mapping[str, Any]:
    """Write what ships; it takes as long as to read a document, and is needed for each."""
    return default_document().model_dump(mode="json")


def _without_unread(family: str, served: Any) -> Any:
    if not isinstance(served, dict):
        return served
    own = Serving.model_fields.get(family)
    kind = FamilyServing if own is None or own.annotation is None else own.annotation
    unread = ONCE_IN_EVERY_FAMILY - kind.model_fields.keys()
    return {name: value for name, value in served.items() if name not in unread}
