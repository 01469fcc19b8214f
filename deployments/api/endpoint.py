"""What the gateway must know of a family of models to carry its requests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from config_store.document import ConfigDocument
from config_store.quotas import Counted
from deployments.runtime.batch import Columns, Detail

# Names of services, desks and tenants; what Prometheus and ClickHouse both take without escaping.
ENTITY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"
# A UUID of version 7, as the gateways write them.
DECISION_ID = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
DecisionId = Annotated[str, Field(pattern=f"^{DECISION_ID}$")]


def _check_whole_number(value: object) -> object:
    """Take 7.0 for 7: JSON knows no difference, and some clients write every number so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# For whole numbers in bodies, which are strict otherwise.
WHOLE = BeforeValidator(_check_whole_number)


class FamilyBody(BaseModel):
    """What the bodies of all inference requests share."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True, strict=True)

    entity: str = Field(
        "default",
        pattern=ENTITY_PATTERN,
        description="The service, desk or tenant whose history and features are used.",
    )


@dataclass(frozen=True, slots=True)
class Bulk:
    """How much one piece of JSON may hold: of lists and objects together, and of strings.

    Each list takes a gateway's loop up to 3 microseconds, a string half a one, and there is room
    for a million and a half in a body. No row of most families holds a tenth of this.
    """

    lists: int = 20_000
    strings: int = 100_000

    @property
    def tokens(self) -> int:
        """How many brackets and strings that comes to."""
        return 2 * self.lists + self.strings

    def holds(self, raw: bytes) -> bool:
        """Tell whether the bytes hold no more, by a look that parses nothing."""
        lists = raw.count(b"[") + raw.count(b"{")
        return lists <= self.lists and raw.count(b'"') <= 2 * self.strings


USUAL_BULK = Bulk()


@dataclass(frozen=True, slots=True)
class Nested:
    """Lists in a row's detail whose items safety judges as it does the row's own columns.

    The first item of each list is the row itself.
    """

    # By the output column whose limits hold for its items.
    lists: dict[str, str]
    # What a violation calls the number of an item, counted from 1.
    item: str
    # When each item begins, in epoch seconds, by the detail's data; NaN where that is not known.
    moments: Callable[[Mapping[str, Any]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class InferenceEndpoint:
    """A family's side of the contract: from bodies to columns, and from columns to answers."""

    name: str
    path: str
    summary: str
    body: type[FamilyBody]
    data: type[BaseModel]
    columns: Callable[[Sequence[Any], ConfigDocument], Columns]
    # From what safety lets through, and what the model said beside it (None where it fell back).
    answers: Callable[[Columns, Sequence[Detail | None]], list[dict[str, Any]]]
    interval_method: str
    interval_level: float
    # What `columns` gives, and the pairs of it of which the first is never above the second: from
    # these a check of a policy knows what its limits and recipes can read.
    given: tuple[str, ...] = ()
    ordered: tuple[tuple[str, str], ...] = ()
    # What is said beside the numbers of a row that fell back; nothing where left out.
    fallback_detail: Callable[[Any], Detail] | None = None
    # The features that the model needs and that the feature store may fill.
    features: tuple[str, ...] = ()
    # Those of them that it can do without: NaN where the entity's telemetry has no such metric.
    optional_features: tuple[str, ...] = ()
    # By feature: what of an entity's row fills it rather than the newest interval's value.
    preferred_features: Mapping[str, str] = field(default_factory=dict, hash=False)
    # The deployment that answers; the family's own where it is not named.
    deployment: str = ""
    # What a body says beyond its numbers, as JSON: one of the operations of its deployment.
    ask: Callable[[Any], Mapping[str, object]] | None = None
    # The state that a body belongs to: one key lives on one replica.
    key: Callable[[Any], str] | None = None

    # The quota that a state begun by a row of this family counts for.
    creates: Counted | None = None

    # What is read in one piece: a row, or a body that is no plain list of rows.
    bulk: Bulk = USUAL_BULK

    nested: Nested | None = None
    # The part of `data` whose values safety may be asked to judge by their names.
    parameters: str = ""
    # Parts of `data` that no limit of the safety policy is held against.
    unjudged: tuple[str, ...] = ()
    # Why the model claims no interval, where it does not.
    no_interval: str = "The model claims nothing here: any value is possible"
    # Whether a decision of the model takes feedback; a fallback's never does.
    takes_feedback: bool = False

    # Whether safety may answer when the model is lost. Not where the answer would say that
    # something was taken which was not.
    falls_back: bool = True
    # What stays of the model's detail where the fallback answers: what was taken, and no word of
    # the model's.
    taken: Callable[[Detail], Detail] | None = None
    # Whether the model is asked in an emergency, in which its answer does not leave: not where it
    # costs its state something to be asked, nor where nothing can stand in for the answer.
    asked_in_emergency: bool = True
    # Whether the model's state keeps what it answers; what nobody is given is taken back.
    keeps_answers: bool = False

    @property
    def refuses_rows(self) -> bool:
        """Whether one row of many may be refused by itself: what it asks is more than numbers."""
        return self.ask is not None

    @property
    def has_fallback(self) -> bool:
        """Whether a row can be answered without the model's word; else it is refused."""
        return self.falls_back or self.taken is not None

    @property
    def stage(self) -> str:
        return self.deployment or self.name


def no_columns(_: Sequence[Any], __: ConfigDocument) -> Columns:
    """Give a family no features: all that it needs is in its question."""
    return {}


def detail_answers(_: Columns, details: Sequence[Detail | None]) -> list[dict[str, Any]]:
    """Give what the family said; for those that have no fallback which could say else."""
    return [{} if detail is None else detail["data"] for detail in details]
