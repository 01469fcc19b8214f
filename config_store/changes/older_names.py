"""Patches as the clients of the older back ends write them: sections that this document has not.

They steer the market signals: whether a trained model filters them, and which one. No family of
this release has such a model, so there is nothing that the names could be put in the place of. What
took such a patch and changed nothing would deceive its client. It is told that its patch is a right
one, and that this release does not serve what it names.
"""

from collections.abc import Iterator
from typing import Any

from config_store.changes.paths import Part, path_of
from config_store.document import ConfigDocument

_SECTIONS = ("signal_filter", "model")


def unserved_older_names(patch: Any) -> dict[str, str]:
    """Give each place of a patch that has an older client's name, and why it is not taken yet."""
    if not isinstance(patch, dict):
        return {}
    sections = {name: patch[name] for name in _SECTIONS if name in patch}
    if not sections.keys() - ConfigDocument.model_fields.keys():
        return {}
    why = (
        "this is a setting of the market signals, which this release does not serve; GET /config "
        "shows the sections that can be changed"
    )
    return {path_of(place): why for place in _leaves((), sections)}


def _leaves(place: tuple[Part, ...], value: Any) -> Iterator[tuple[Part, ...]]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves((*place, name), each)
    else:
        yield place
