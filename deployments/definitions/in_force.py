"""The definitions in force, as the history decides and tells them, and gateways read them."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, ValidationError
from redis.asyncio import Redis

from config_store.document import FeatureConfig
from config_store.own_features import OwnFeature, catalogue_of
from features.candidates.bounds import CandidateBounds
from features.candidates.compared import Figure
from features.definitions.catalogue import Catalogue
from features.functions.evaluated import FunctionHealth
from features.telemetry.source_states import HeldBack
from settings.frozen import Frozen
from settings.redis_names import redis_name


class ActiveDefinition(Frozen):
    """A definition, with the module that its function is in."""

    definition: OwnFeature
    sha256: str = Field("", description="Of the module's text; empty where it has none.")

    @property
    def id(self) -> str:
        return self.definition.id(self.sha256)

    @property
    def can_be_computed(self) -> bool:
        return self.definition.function is None or bool(self.sha256)


class Refusal(Frozen):
    """Changed definitions that depend on each other and do not take the place of those before."""

    ids: dict[str, str] = Field(description="The changed definitions, by feature.")
    bounds: CandidateBounds
    since: float
    why: str
    refused: bool = Field(description="Whether they were compared, and are out of bounds.")
    figures: tuple[Figure, ...] = ()

    def of(self, name: str) -> HeldBack:
        return HeldBack(
            id=self.ids[name],
            since=self.since,
            why=self.why,
            refused=self.refused,
            figures=self.figures,
        )


class Decided(Frozen):
    """What the history decided last."""

    format: Literal[1] = 1
    named: dict[str, ActiveDefinition] = Field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    health: dict[str, FunctionHealth] = Field(default_factory=dict)

    @classmethod
    def read(cls, stored: bytes | None) -> Self | None:
        """Read what was told; None where nothing was, or by a release that told it otherwise."""
        try:
            return None if stored is None else cls.model_validate_json(stored)
        except ValidationError:
            return None

    def refusal(self, name: str) -> Refusal | None:
        """Give the refusal that a feature's configured definition is part of."""
        return next((each for each in self.refusals if name in each.ids), None)


def definitions_key(redis: Redis) -> str:
    return redis_name(redis, "features", "definitions")


def catalogue_in_force(config: FeatureConfig, decided: Decided | None) -> Catalogue:
    """Put the definitions in force to the shipped ones.

    What is new in a configuration has nothing before it, and is in force at once.
    """
    if decided is None:
        return config.catalogue()
    new = {
        name: ActiveDefinition(definition=each)
        for name, each in config.definitions.items()
        if name not in decided.named
    }
    for named in ({**decided.named, **new}, decided.named):
        try:
            return catalogue_of_named(named, config.stale_after_seconds)
        except ValueError:  # of another release, or new ones that need what is held back
            continue
    return config.catalogue()


def catalogue_of_named(named: Mapping[str, ActiveDefinition], live_ttl_seconds: float) -> Catalogue:
    """Put definitions to the shipped ones; ValueError where they do not fit together."""
    own = {name: each.definition for name, each in named.items()}
    digests = {name: each.sha256 for name, each in named.items()}
    return catalogue_of(own, live_ttl_seconds, digests)
