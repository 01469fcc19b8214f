"""A certificate: the plan of a step, which entries of the ledger it saw, and the test's path.

It is named by the hash of its content and holds the hash of the step's before, so that none can be
changed, taken out or put between others without the next one telling.
"""

from hashlib import sha256
from typing import Final, Literal, Self

import orjson
from pydantic import Field, model_validator

from config_store.certificates.plan import Plan
from config_store.certificates.without_rows import Counted, concluded
from models.evidence.verdict import Verdict
from settings.frozen import Frozen

FORMAT: Final = 2
# Beyond this, in epoch seconds, it is no time of an archive.
LATEST = 1e11
FIRST = ""  # what the certificate of a rollout's first step has before it


class Span(Frozen):
    """Consecutive entries of one writer's chain; the last one's hash commits to all before it."""

    writer: str
    first: int = Field(ge=0)
    through: int = Field(ge=0)
    entry_hash: str

    @model_validator(mode="after")
    def _has_an_entry(self) -> Self:
        if self.through < self.first:
            raise ValueError(f"it ends at entry {self.through}, before it begins at {self.first}")
        return self


class MetricAt(Frozen):
    """A metric at a look: the highest evidence so far as logarithms, and the values by arm."""

    bad: float
    good: float
    by_keys: tuple[float, float] | None = Field(
        description="The same for bad and good, of the test by keys; none of pairs."
    )
    values: tuple[float, float]
    missing: tuple[int, int]
    verdict: Verdict


class Look(Frozen):
    """What was known at one time, of the entries since the look before and all earlier ones."""

    at: float = Field(ge=0, le=LATEST)
    spans: tuple[Span, ...]
    rows: int = Field(description="Rows of the ledger that were counted so far.")
    metrics: dict[str, MetricAt]
    share_evidence: float | None
    seen_by_both: int
    verdict: Verdict
    reason: str


class Certificate(Frozen):
    """What a step was judged by, what was seen, and the verdict."""

    format: Literal[2] = FORMAT
    plan: Plan
    before: str
    looks: tuple[Look, ...] = Field(min_length=1)
    counted: Counted | None = Field(
        None,
        description="Rows that the ledger has not, as the gateways counted them; null in what was "
        "written before certificates said so.",
    )
    verdict: Verdict
    reason: str
    hash: str

    @classmethod
    def seal(
        cls, plan: Plan, before: str, looks: tuple[Look, ...], counted: Counted | None = None
    ) -> Self:
        """Write the certificate of a step that ends with the last look."""
        verdict, reason = concluded(plan, looks[-1].verdict, looks[-1].reason, counted)
        unsealed = cls(
            plan=plan,
            before=before,
            looks=looks,
            counted=counted,
            verdict=verdict,
            reason=reason,
            hash="",
        )
        return unsealed.model_copy(update={"hash": unsealed.content_hash()})

    def content_hash(self) -> str:
        content = self.model_dump(mode="json", exclude={"hash"})
        # What was written before there was such a field has kept its hash.
        if not self.plan.weakened:
            del content["plan"]["weakened"]
        if not self.plan.margins.most_by_both:
            del content["plan"]["margins"]["most_by_both"]
        if self.counted is None:
            del content["counted"]
        if not self.plan.design.matched:  # likewise
            del content["plan"]["design"]["matched"]
        if not self.plan.names_families:
            del content["plan"]["names_families"]
        if not self.plan.design.for_all_keys:
            del content["plan"]["design"]["for_all_keys"]
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
