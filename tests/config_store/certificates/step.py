"""A step of a rollout that was judged: a ledger of both arms, and the certificate of it."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import orjson

from config_store.certificates.certificate import FIRST, Certificate
from config_store.certificates.examination import Examination
from config_store.certificates.plan import Plan, margins_of
from models.evidence.margins import Design
from observability.ledger.decision import Decision, DecisionIds
from observability.ledger.entry import NO_HASH, Entry, Header, decode, encode, hash_of, seal

NOW = 1_790_000_000.0
INCUMBENT, CANDIDATE = 4, 5
ROWS_OF_ENTRY = 50


class Stated(NamedTuple):
    """A margin as a rollout's settings have it."""

    metric: str
    relative: float | None = None
    absolute: float | None = None


STATED = (
    Stated("p99_ms", relative=0.5),
    Stated("interval_width", relative=0.25),
    Stated("violation_rate", absolute=0.05),
    Stated("error_rate", absolute=0.05),
)


def plan_of(*, paired: bool) -> Plan:
    return Plan(
        rollout="01JDROLLOUT",
        step=1,
        incumbent=INCUMBENT,
        candidate=CANDIDATE,
        begins_ms=int(NOW * 1000),
        design=Design(paired=paired),
        margins=margins_of(STATED, 0.05, 5, grouped=False),
    )


class Rows:
    """Writes rows as a gateway does."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 - data of a test
        self._now = NOW
        self._ids = DecisionIds(lambda: self._now, self._random.randbytes)

    def row(self, version: int, entity: str, **more: Any) -> Decision:
        self._now += 0.02
        (decision_id,) = self._ids.take(1)
        width = 10 * self._random.lognormvariate(0, 0.3)
        row = {
            "decision_id": decision_id,
            "family": "tail-slo",
            "entity": entity,
            "allowed": self._random.random() > 0.01,
            "processing_time_ms": 8 * self._random.lognormvariate(0, 0.3),
            "config_version": version,
            "answer": {
                "interval": {"lower": 5.0, "upper": 5.0 + width, "method": "cqr"},
                "meta": {"model": "tail"},
            },
            **more,
        }
        return Decision(decision_id, orjson.dumps(row))

    def wait(self, seconds: float) -> None:
        self._now += seconds

    def canary(self, count: int, **worse: Any) -> list[Decision]:
        versions = (self._random.choice((INCUMBENT, CANDIDATE)) for _ in range(count))
        return [
            self.row(version, f"e{at}", **(worse if version == CANDIDATE else {}))
            for at, version in enumerate(versions)
        ]

    def shadow(self, count: int) -> list[Decision]:
        decisions = []
        for at in range(count):
            asked = self.row(INCUMBENT, f"e{at}")
            decisions += [asked, self.row(CANDIDATE, f"e{at}", shadow_of=asked.decision_id)]
        return decisions


def chain(writer: str, decisions: Sequence[Decision], after: Entry | None = None) -> list[Entry]:
    """Write decisions down as a writer's consecutive entries, as the ledger stores them."""
    entries = []
    for at in range(0, len(decisions), ROWS_OF_ENTRY):
        sealed = seal(decisions[at : at + ROWS_OF_ENTRY])
        seq = 1 if after is None else after.header.seq + 1
        prev = NO_HASH if after is None else after.entry_hash
        header = Header(writer, seq, int(NOW * 1000), sealed.count)
        found = hash_of(prev, header, sealed.root)
        after = decode(encode(header, prev, found, sealed.body))
        entries.append(after)
    return entries


@dataclass(frozen=True)
class Step:
    """Two gateways' entries, look by look, and the certificate that was written of them."""

    looks: list[list[Entry]]
    certificate: Certificate

    @classmethod
    def judged(cls, *, paired: bool, before: str = FIRST) -> Self:
        rows = Rows()
        decisions = rows.shadow(1200) if paired else rows.canary(2400)
        chains = [chain(name, decisions[at::2]) for at, name in enumerate(("gw-a", "gw-b"))]
        cuts = ((0, 3), (3, 10), (10, None))
        looks = [[each for one in chains for each in one[slice(*cut)]] for cut in cuts]
        examination = Examination(plan_of(paired=paired))
        for at, entries in enumerate(looks):
            examination.look(NOW + 60 * at, entries)
        return cls(looks, examination.certificate(before))

    @property
    def entries(self) -> list[Entry]:
        return [entry for look in self.looks for entry in look]


def with_rows(entry: Entry, rows: Iterable[bytes]) -> Entry:
    """Put other rows under the hash of an entry, as somebody does who edits the table."""
    return Entry(entry.header, entry.prev_hash, entry.entry_hash, tuple(rows))
