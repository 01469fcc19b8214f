"""What a version pins, by its parts: a digest of each thing that decides its answers."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import orjson
from pydantic import Field

from config_store.document import ConfigDocument, PinnedModel
from settings.frozen import Frozen

POLICY_DIGITS = 16


class Release(Frozen):
    models: dict[str, PinnedModel] | None = Field(
        description="By name. Null: it is of an earlier release, and its aliases are followed."
    )
    features: str = Field(description="The hash of the feature definitions.")
    policy: str = Field(description="The hash of the safety policy.")
    calibration: str = Field(
        description="The hash of the models' digests: what calibrates their intervals is in "
        "their files."
    )


def release_of(document: ConfigDocument) -> Release:
    fields = document.model_dump(mode="json")
    digests = {name: each.digest for name, each in (document.models or {}).items()}
    return Release(
        models=document.models,
        features=_hash(fields["features"]),
        policy=_hash(fields["safety"]),
        calibration=_hash(digests),
    )


def policy_hash(document: ConfigDocument) -> str:
    """Name a safety policy by what it says, as lives in the steering state do."""
    return _hash(document.safety.model_dump(mode="json"))[:POLICY_DIGITS]


def _hash(value: Mapping[str, Any] | Sequence[Any]) -> str:
    return sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
