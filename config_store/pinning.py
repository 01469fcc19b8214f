"""Reads what aliases name when a version is drafted, and finds again what a version pins.

All of it reads small files, and may hash a model's: for a thread.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from config_store.document import ConfigDocument, PinnedModel
from models.digest import digest_of
from models.errors import ModelError, UnknownModelError
from models.model_version import ModelVersion
from models.needs import NEEDS, TAIL
from models.pointer import find_version, keep_record, read_pointer

# Capacity plans go by all of these, under the one alias of the family.
CAPACITY_MODELS = tuple(name for name in NEEDS if name != TAIL.model)


def aliases_of(document: ConfigDocument) -> dict[str, str]:
    """Give for each model that answers by this document the alias that names it."""
    tail, capacity = document.serving.tail, document.serving.capacity
    return {**dict.fromkeys(CAPACITY_MODELS, capacity.alias), tail.model: tail.alias}


def resolved(document: ConfigDocument, models: Path) -> dict[str, PinnedModel]:
    """Give what the aliases name now, and see that each has its record beside its files.

    An alias that names nothing that can be read is left out.
    """
    named = {name: _named(models, name, alias) for name, alias in aliases_of(document).items()}
    return {name: pin for name, pin in named.items() if pin is not None}


def pinned(document: ConfigDocument, models: Path) -> ConfigDocument:
    """Pin what is not pinned yet, or by another alias; what is pinned stays."""
    named, before = aliases_of(document), document.models or {}
    kept = {
        name: _with_digest(models, name, pin)
        for name, pin in before.items()
        if named.get(name) == pin.alias
    }
    return document.model_copy(update={"models": {**resolved(document, models), **kept}})


def pinned_version(models: Path, name: str, pin: PinnedModel) -> ModelVersion:
    """Find the version that is pinned; files that are others than those are not that version."""
    found = find_version(models, name, pin.version)
    if found is None or not found.path.is_dir():
        raise UnknownModelError(
            f"model {name!r} {pin.version}, which the configuration pins, is not in {models}; "
            "restore its folder, or pin another version"
        )
    if pin.digest and digest_of(found.path) != pin.digest:
        raise UnknownModelError(
            f"the files of {name} {pin.version} differ from those that the configuration pins; "
            f"restore {found.path}, or pin another version"
        )
    return replace(found, digest=pin.digest)


def pin_faults(pins: Mapping[str, PinnedModel], models: Path) -> dict[str, str]:
    """Name each pin that no replica could go by, by its place in the document."""
    found = {}
    for name, pin in pins.items():
        try:
            pinned_version(models, name, pin)
        except ModelError as error:
            found[f"models.{name}"] = str(error)
    return found


def answering(document: ConfigDocument, models: Path, name: str) -> ModelVersion | None:
    """Tell which version of a model answers by this document; None where none does."""
    if document.models is None:
        alias = aliases_of(document).get(name)
        return None if alias is None else read_pointer(models, name, alias)
    pin = document.models.get(name)
    return None if pin is None else find_version(models, name, pin.version)


def _named(models: Path, name: str, alias: str) -> PinnedModel | None:
    try:
        version = read_pointer(models, name, alias)
    except ModelError:
        return None
    if version is None:
        return None
    # An earlier release left none, and once the alias moves nothing else says what this one is.
    with suppress(OSError):  # where the folder may only be read
        keep_record(models, version)
    return PinnedModel(alias=alias, version=version.version, digest=version.digest)


def _with_digest(models: Path, name: str, pin: PinnedModel) -> PinnedModel:
    """Fill in the digest of a pin that names a version alone."""
    if pin.digest:
        return pin
    try:
        version = find_version(models, name, pin.version)
    except ModelError:  # validation says what is wrong with it
        return pin
    return pin if version is None else pin.model_copy(update={"digest": version.digest})
