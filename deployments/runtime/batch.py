"""What travels between the deployments: named numpy columns, a row a request.

What is no number of a row (a list of observations, a context of names) travels beside the columns,
as JSON, a value a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, NotRequired, Self, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from deployments.runtime.transport.frame import Frame
from features.fill import Filled

FloatArray = npt.NDArray[np.float64]
Columns = dict[str, FloatArray]
Said = TypeVar("Said")
# Those of deployments.api.errors.REFUSALS: another one would end the batch in a KeyError.
RefusalCode = Literal[
    "not_found", "conflict", "policy", "invalid", "quota", "unavailable", "unreadable"
]
# An API key, and how many states of the kind it may create.
Owner = tuple[str, int]


@dataclass(slots=True)
class Batch:
    """The rows of one family that ride together; NaN marks what a request left out."""

    family: str
    entities: list[str]
    columns: Columns
    # What a row asks beyond its numbers, where its family has such.
    asks: list[Any] = field(default_factory=list)
    # The state a row belongs to, and the decision it will be: where its family has state.
    keys: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    # The request that a row came with, for the logs of all stages.
    requests: list[str] = field(default_factory=list)
    # Who owns the state that a row may begin: where its family counts for a quota.
    owners: list[Owner | None] = field(default_factory=list)
    # Seconds in which an answer is of use, counted from when this was sent; none where left out.
    budget_s: float | None = None
    # The configuration that all stages answer these rows by.
    version: int = 0
    config_hash: str = ""
    # How many of the last rows are items of lists in the answers to the rows before them.
    items: int = 0
    # Whether the gateway knows of an emergency; a stage may know of one besides.
    emergency: bool = False
    # Whether these are rows of a shadow: a candidate answers them, and no client sees it.
    is_shadow: bool = False

    def __len__(self) -> int:
        return len(self.entities)

    def take(self, rows: Sequence[int]) -> Self:
        """Give the batch of these rows alone; what is said of the whole batch holds of them too."""
        first_item = len(self) - self.items
        return replace(
            self,
            entities=_taken(self.entities, rows),
            columns=take_columns(self.columns, rows),
            asks=_taken(self.asks, rows),
            keys=_taken(self.keys, rows),
            ids=_taken(self.ids, rows),
            requests=_taken(self.requests, rows),
            owners=_taken(self.owners, rows),
            items=sum(row >= first_item for row in rows) if self.items else 0,
        )

    def to_frame(self) -> Frame:
        head: dict[str, Any] = {
            "family": self.family,
            "entities": self.entities,
            "version": self.version,
            "config_hash": self.config_hash,
        }
        for name in ("asks", "keys", "ids", "requests", "owners"):
            if values := getattr(self, name):
                head[name] = values
        if self.budget_s is not None:
            head["budget_s"] = self.budget_s
        if self.items:
            head["items"] = self.items
        if self.emergency:
            head["emergency"] = True
        if self.is_shadow:
            head["beside"] = True  # the name that earlier releases know
        return Frame(self.columns, head)

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        head = dict(frame.head)
        if owners := head.get("owners"):
            head["owners"] = [None if owner is None else tuple(owner) for owner in owners]
        head["is_shadow"] = head.pop("beside", False)
        return cls(head.pop("family"), head.pop("entities"), frame.columns, **head)


class Detail(TypedDict, total=False):
    """What a model says of one row beyond its columns; each part joins that part of the answer."""

    data: dict[str, Any]
    interval: dict[str, Any]
    meta: dict[str, Any]


# What joins the meta of an answer whose model learned from made-up telemetry: nobody is to take it
# for an answer about a service that was measured.
DEMO_META: Mapping[str, Any] = MappingProxyType(
    {
        "trained_on": "demo",
        "trained_on_reason": "the model learned from the demo platform, not from your services; "
        "it is trained anew as soon as there is enough of their telemetry",
    }
)


class Refusal(TypedDict):
    """Why one row gets no answer, and by field where the body is at fault."""

    code: RefusalCode
    message: str
    fields: NotRequired[dict[str, str]]


@dataclass(slots=True)
class Prediction:
    """What a family says of a batch; no columns at all when its model could not answer."""

    columns: Columns
    model: str
    model_version: str
    # Empty, or one for each row.
    details: list[Detail | None] = field(default_factory=list)
    # Rows that the family cannot answer, by their place; their columns hold anything.
    refusals: dict[int, Refusal] = field(default_factory=dict)
    # Of the model's files, where it has any.
    digest: str = ""
    # The configuration that it was said by; none where no stage answered.
    version: int | None = None
    # Why there is no model that could answer, for people; empty where one did.
    reason: str = ""
    # Whether the model learned from the demo's telemetry.
    of_demo: bool = False

    def take(self, rows: Sequence[int]) -> Self:
        """Give what was said of these rows, which are none of the refused ones."""
        columns = take_columns(self.columns, rows)
        return type(self)(
            columns,
            self.model,
            self.model_version,
            _taken(self.details, rows),
            digest=self.digest,
            version=self.version,
            reason=self.reason,
            of_demo=self.of_demo,
        )

    def to_frame(self) -> Frame:
        head: dict[str, Any] = {"model": self.model, "model_version": self.model_version}
        if self.details:
            head["details"] = self.details
        if self.refusals:
            head["refusals"] = self.refusals
        if self.digest:
            head["digest"] = self.digest
        if self.reason:
            head["reason"] = self.reason
        if self.of_demo:
            head["of_demo"] = True
        return Frame(self.columns, head)

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        head = dict(frame.head)
        refusals = {int(row): why for row, why in head.pop("refusals", {}).items()}
        return cls(frame.columns, **head, refusals=refusals)


@dataclass(slots=True)
class Judgement:
    """What safety made of a batch: the columns that may leave, and why they differ."""

    columns: Columns
    levels: FloatArray  # the level's code
    rungs: FloatArray  # the code of the fallback ladder's rung; 0 where the model answered
    # Only rows that broke something are named.
    violations: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    # The hash of the family's policy, and the configuration that has it.
    policy: str = ""
    version: int | None = None
    # Rows that the policy lets have no answer; their columns hold the fallback's.
    refusals: dict[int, Refusal] = field(default_factory=dict)
    # Rows that broke a rule which calls for emergency mode, each with the rule's name.
    alarms: dict[int, str] = field(default_factory=dict)

    # By row the fields that a person put a value into, each with the override's id.
    overrides: dict[int, dict[str, str]] = field(default_factory=dict)
    # Whether the policy's limits were not asked, which only an admin may allow.
    unchecked: bool = False
    # Why an emergency put the fallback in every row's place; empty where none did.
    emergency: str = ""

    @property
    def fallback(self) -> npt.NDArray[np.bool_]:
        """Say which rows the model did not answer."""
        fell_back: npt.NDArray[np.bool_] = self.rungs > 0
        return fell_back

    def take(self, rows: Sequence[int]) -> Self:
        """Give the judgement of these rows, which are none of the refused ones."""
        which = np.asarray(rows, dtype=np.intp)
        return replace(
            self,
            columns=take_columns(self.columns, rows),
            levels=self.levels[which],
            rungs=self.rungs[which],
            violations=_placed(self.violations, rows),
            refusals={},
            alarms=_placed(self.alarms, rows),
            overrides=_placed(self.overrides, rows),
        )

    def to_frame(self) -> Frame:
        head: dict[str, Any] = {"violations": self.violations, "policy": self.policy}
        for name in ("refusals", "alarms", "overrides", "unchecked", "emergency"):
            if value := getattr(self, name):
                head[name] = value
        # To an earlier release whatever is not 0 is the fallback's.
        return Frame({**self.columns, "_level": self.levels, "_fallback": self.rungs}, head)

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        columns = dict(frame.columns)
        levels, rungs = columns.pop("_level"), columns.pop("_fallback")
        head = frame.head
        violations, refusals, alarms, overrides = (
            {int(row): each for row, each in said.items()} if (said := head.get(which)) else {}
            for which in ("violations", "refusals", "alarms", "overrides")
        )
        return cls(
            columns,
            levels,
            rungs,
            violations,
            head["policy"],
            head.get("version"),
            refusals,
            alarms,
            overrides,
            head.get("unchecked", False),
            head.get("emergency", ""),
        )


def requests_of(head: dict[str, Any]) -> tuple[str, ...]:
    """Name the requests that a frame's rows came with, each once."""
    return tuple(dict.fromkeys(head.get("requests", ())))


def take_columns(columns: Columns, rows: Sequence[int]) -> Columns:
    which = np.asarray(rows, dtype=np.intp)
    return {name: column[which] for name, column in columns.items()}


def _placed(by_row: Mapping[int, Said], rows: Sequence[int]) -> dict[int, Said]:
    """Give what is said of these rows, by their new places."""
    return {place: by_row[row] for place, row in enumerate(rows) if row in by_row}


def _taken(values: list[Any], rows: Sequence[int]) -> list[Any]:
    return [values[row] for row in rows] if values else []


def filled_to_frame(filled: Filled) -> Frame:
    head = {"stale": filled.stale, "assumed": filled.assumed, "missing": filled.missing}
    return Frame({**filled.columns, "_event_time": filled.event_time}, head)


def filled_from_frame(frame: Frame) -> Filled:
    columns = dict(frame.columns)
    event_time = columns.pop("_event_time")
    # A replica of an earlier release names none that are missing.
    stale, assumed, missing = (
        {int(row): tuple(names) for row, names in frame.head.get(which, {}).items()}
        for which in ("stale", "assumed", "missing")
    )
    return Filled(columns, stale, assumed, event_time, missing)


def nothing_filled(rows: int) -> Filled:
    """Say of a family without features that none are stale, assumed or missing."""
    return Filled({}, {}, {}, np.full(rows, np.nan))


def take_filled(filled: Filled, rows: Sequence[int]) -> Filled:
    stale, assumed, missing = (
        _placed(names, rows) for names in (filled.stale, filled.assumed, filled.missing)
    )
    which = np.asarray(rows, dtype=np.intp)
    return Filled(
        take_columns(filled.columns, rows),
        stale,
        assumed,
        np.asarray(filled.event_time)[which],
        missing,
    )
