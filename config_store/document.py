"""The configuration document: everything about serving that may change while the platform runs."""

from hashlib import sha256
from typing import Annotated, Self

import orjson
from pydantic import ConfigDict, Field, model_validator

from config_store.own_features import OwnFeatures, catalogue_of
from config_store.quotas import QuotasConfig
from config_store.sources import SourcesConfig
from features.candidates.bounds import CandidateBounds
from features.definitions.catalogue import Catalogue
from features.sources.rules import Metric
from safety.policy import SafetyPolicy
from settings.frozen import Frozen

ModelName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$", max_length=200)
]


class PinnedModel(Frozen):
    """One model's version: it is this one, wherever its alias moves."""

    alias: str = Field(
        "champion",
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="What named it. A document that names the model by another alias pins anew.",
    )
    version: str = Field(
        max_length=60, pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
    )
    digest: str = Field(
        "", max_length=200, description="Of its files; filled in where it is left out."
    )


class Lane(Frozen):
    """How a gateway queues the rows of one family."""

    max_batch_rows: int = Field(64, ge=1, le=4096)
    batches_in_flight: int = Field(1, ge=1, le=64)
    # A full queue at a thousand requests a second is a second of waiting: past that a client has
    # more from a refusal.
    max_waiting_rows: int = Field(1024, ge=1, le=1_000_000)
    slice_rows: int = Field(
        64,
        ge=1,
        le=4096,
        description="A request with more rows is sent in slices of this many rows, one "
        "after another, between the batches of others.",
    )

    @model_validator(mode="after")
    def _a_batch_can_wait(self) -> Self:
        if self.max_waiting_rows < self.max_batch_rows:
            raise ValueError(
                f"max_waiting_rows {self.max_waiting_rows} is less than one batch of "
                f"{self.max_batch_rows} rows: batches could never fill"
            )
        return self


class Deadlines(Frozen):
    """How long a request may take in all, and each part of it at most, in milliseconds."""

    request_ms: float = Field(
        1000.0,
        gt=0,
        description="From the time a request was read until it is answered or refused.",
    )
    features_ms: float = Field(
        100.0, gt=0, description="After this time the request continues with assumed features."
    )
    model_ms: float = Field(500.0, gt=0, description="After this time the fallback answers.")
    ledger_ms: float = Field(
        300.0,
        gt=0,
        description="Reserved for the ledger: two thirds for Redis, the rest for the spool.",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        parts = self.features_ms + self.model_ms + self.ledger_ms
        if parts > self.request_ms:
            raise ValueError(
                f"features, model and ledger may take {parts:g} ms together, "
                f"more than the request's {self.request_ms:g} ms"
            )
        return self


class FamilyServing(Frozen):
    """How an endpoint's requests are carried: what every family has."""

    deadlines: Deadlines = Deadlines()
    lane: Lane = Lane()


class ModelServing(FamilyServing):
    """A family whose model is chosen here; those of the others come with the release."""

    model: str = Field(min_length=1)
    alias: str = Field("champion", min_length=1)


class TailServing(ModelServing):
    slo_ms: float = Field(250.0, gt=0, description="Used when a request names no SLO.")


class Serving(Frozen):
    """Each family by its name; those that have no field of their own are extra ones."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, FamilyServing] = Field(init=False)

    tail: TailServing
    capacity: ModelServing

    def of(self, family: str) -> FamilyServing:
        """Give what every family has; KeyError for one that is not served."""
        found = self.__pydantic_extra__.get(family)
        return self.by_family()[family] if found is None else found

    def by_family(self) -> dict[str, FamilyServing]:
        return {"tail": self.tail, "capacity": self.capacity, **self.__pydantic_extra__}


class FeatureConfig(Frozen):
    """How fresh features must be, and what stands in for an entity without history."""

    refresh_seconds: float = Field(5.0, gt=0)
    # A minute is known a minute after it began, and read some seconds later: by then the one before
    # is up to 125 s old, and only one that is missing altogether is worth a mark.
    stale_after_seconds: float = Field(180.0, gt=0)
    defaults: dict[str, float] = Field(default_factory=dict)
    definitions: OwnFeatures = Field(
        default_factory=dict,
        description="Features of your own, each an expression or a function over others.",
    )
    publishing: CandidateBounds = Field(
        CandidateBounds(),
        description="How far a changed definition may be from the one in force and take its place.",
    )
    function_seconds: float = Field(
        5.0, gt=0, le=60, description="How long a function may take for a few thousand rows."
    )

    def catalogue(self) -> Catalogue:
        """Put the own definitions to the shipped ones."""
        return catalogue_of(self.definitions, self.stale_after_seconds)

    @model_validator(mode="after")
    def _definitions_fit(self) -> Self:
        self.catalogue()
        return self

    @model_validator(mode="after")
    def _refreshed_before_stale(self) -> Self:
        if self.stale_after_seconds < self.refresh_seconds:
            raise ValueError(
                f"stale_after_seconds {self.stale_after_seconds:g} is less than refresh_seconds "
                f"{self.refresh_seconds:g}: every feature would always be stale"
            )
        return self


class TelemetryStreams(Frozen):
    """Which metrics of measured entities are followed for regimes and alarms."""

    metrics: tuple[Metric, ...] = Field(
        ("request_rate", "error_rate", "p99_ms", "cpu"),
        max_length=8,
        description="A stream for each of an entity's; none at all turns it off.",
    )
    most_entities: int = Field(
        1000, ge=0, le=10_000, description="Entities beyond these, the latest found, are left out."
    )
    alarms_per_day: float = Field(
        1.0, gt=0, le=1e6, description="The budget of false alarms, over all these together."
    )


class StreamsConfig(Frozen):
    """What an operator states of all streams together."""

    alarms_per_day: float = Field(
        1.0,
        gt=0,
        le=1e6,
        description="The budget of false alarms, over all streams of clients together.",
    )
    telemetry: TelemetryStreams = TelemetryStreams()


class BanditExperiment(Frozen):
    """What an operator says of one experiment, whether it has begun or not."""

    arms: tuple[str, ...] = Field(
        (),
        description="The arms to choose from when a request names none; more can be added later.",
    )
    baseline: str | None = Field(
        None, description="The incumbent at the start; the first arm where left out."
    )
    vetoed: tuple[str, ...] = Field(
        (), description="Arms that are never chosen, even when a request names them."
    )


class BanditsConfig(Frozen):
    """What an operator allows all experiments, and states of some."""

    canary_cap: float = Field(
        0.10,
        ge=0,
        le=1,
        description="The most traffic that arms other than the baseline may get; the "
        "safety policy's limit on canary_percentage also applies.",
    )
    experiments: dict[str, BanditExperiment] = Field(default_factory=dict)


class ConfigDocument(Frozen):
    """One version's content."""

    serving: Serving
    safety: SafetyPolicy
    features: FeatureConfig
    streams: StreamsConfig = StreamsConfig()
    bandits: BanditsConfig = BanditsConfig()
    quotas: QuotasConfig = QuotasConfig()
    sources: SourcesConfig = SourcesConfig()
    models: dict[ModelName, PinnedModel] | None = Field(
        None,
        max_length=100,
        description="The models that answer, by name: filled in when a version is drafted. Null: "
        "it is of an earlier release, and its aliases are followed.",
    )

    @model_validator(mode="after")
    def _nothing_is_served_unjudged(self) -> Self:
        if unjudged := set(self.serving.by_family()) - set(self.safety.families):
            raise ValueError(
                f"these families are served without a safety policy: {sorted(unjudged)}"
            )
        return self

    def with_deadlines(self, **milliseconds: float) -> Self:
        """Give every family these deadlines, by the fields of `Deadlines`; the others stay."""
        families = {
            name: each.model_copy(
                update={"deadlines": each.deadlines.model_copy(update=milliseconds)}
            )
            for name, each in self.serving.by_family().items()
        }
        return self.model_copy(update={"serving": self.serving.model_copy(update=families)})

    def canonical(self) -> bytes:
        """Write the document the one way that its hash is taken of."""
        return orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)

    @property
    def config_hash(self) -> str:
        return hash_of(self.canonical())


def hash_of(canonical: bytes) -> str:
    return sha256(canonical).hexdigest()
