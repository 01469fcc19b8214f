"""Merge patches, as in RFC 7396: what a patch names is replaced, and null removes it."""

from typing import Any


def merged(target: Any, patch: Any) -> Any:
    """Give what a patch makes of a document; neither of them is changed."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return made
