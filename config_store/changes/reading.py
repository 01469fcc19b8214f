"""Reads a document that somebody wants, and says of each fault where it is and what is wrong."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from config_store.changes.paths import WHOLE, path_of, place_of
from config_store.document import ConfigDocument
from config_store.errors import ConfigError

# More than these help nobody.
MOST_FAULTS = 100


class BadDocumentError(ConfigError):
    """The document cannot become a version; `faults` names each place and what is wrong there."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        shown = "; ".join(f"{path}: {what}" for path, what in self.faults.items())
        super().__init__(f"The document cannot become a version: {shown}. Correct these places.")


def read_document(fields: Any) -> ConfigDocument:
    """Read the JSON value of a whole document; raises BadDocumentError.

    What it states of sources and features is read too: rules, units, expressions.
    """
    try:
        document = ConfigDocument.model_validate(fields)
        document.canonical()
    except ValidationError as refusal:
        raise BadDocumentError(_faults(refusal, fields)) from None
    except TypeError as error:  # whole numbers of more than 64 bits
        raise BadDocumentError({WHOLE: f"it cannot be written as JSON ({error})"}) from None
    return document


def _faults(refusal: ValidationError, fields: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in refusal.errors()[:MOST_FAULTS]:
        what = each["msg"].removeprefix("Value error, ")
        path = path_of(place_of(each["loc"], fields))
        # A union refuses a value once for each of its kinds.
        found[path] = f"{found[path]}; or {what}" if path in found else what
    return found
