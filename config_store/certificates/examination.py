"""Judges a step by the ledger's entries as they come, and writes its certificate.

Who judges and who verifies go through this one class: a verifier gives it the same entries, look
by look, and must come to the same path.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

from config_store.certificates.certificate import Certificate, Look, MetricAt, Span
from config_store.certificates.observations import (
    Observation,
    observations,
    pairs_of,
    requests_of,
)
from config_store.certificates.plan import Plan
from config_store.certificates.without_rows import Counted
from models.evidence.trial import Trial
from models.evidence.verdict import Interval, MetricSeen, Seen, Verdict
from observability.ledger.entry import Entry

# A shadow answers seconds after the incumbent at most; an answer without a partner is let go when
# so many younger ones wait.
MOST_WAITING = 10_000
DIGITS = 6
MORE_THAN_ONE = 2


class Examination:
    """One step of a rollout under examination."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.looks: list[Look] = []
        self._trial = Trial(plan.margins, plan.design)
        self._rows = 0
        self._waiting: dict[str, Observation] = {}
        self._families: Counter[str] = Counter()  # rows; of pairs one each

    def look(self, at: float, entries: Iterable[Entry]) -> Look:
        """Take the entries that came since the last look, and say what is known.

        Of each writer they must be consecutive, and continue what was given before.
        """
        chains = _by_writer(entries)
        spans = tuple(_span(chains[writer]) for writer in sorted(chains))
        self._take(observations(self.plan, (each for chain in chains.values() for each in chain)))
        look = self._seen(at, spans)
        self.looks.append(look)
        return look

    def excess(self) -> dict[str, Interval]:
        """Bound how much worse the candidate is in each metric, by what the looks have seen."""
        return self._trial.excess()

    def certificate(self, before: str, counted: Counted | None = None) -> Certificate:
        """Write down what was seen by the last look; `before` is the step's before, or FIRST."""
        return Certificate.seal(self.plan, before, tuple(self.looks), counted)

    def _take(self, seen: list[Observation]) -> None:
        if self.plan.design.paired:
            pairs = self._paired(seen)
            self._rows += 2 * len(pairs)
            self._families.update(each.family for each, _ in pairs)
            self._trial.add(pairs_of(self.plan, pairs))
        else:
            self._rows += len(seen)
            self._families.update(each.family for each in seen)
            self._trial.add(requests_of(self.plan, seen))

    def _paired(self, seen: list[Observation]) -> list[tuple[Observation, Observation]]:
        pairs = []
        for each in seen:
            partner = self._waiting.pop(each.answers, None)
            if partner is None:
                self._waiting[each.answers] = each
            elif partner.candidate is not each.candidate:
                pairs.append((partner, each) if each.candidate else (each, partner))
        for oldest in list(self._waiting)[: max(0, len(self._waiting) - MOST_WAITING)]:
            del self._waiting[oldest]
        return pairs

    def _seen(self, at: float, spans: tuple[Span, ...]) -> Look:
        seen = self._trial.look()
        share = seen.share_evidence
        return Look(
            at=at,
            spans=spans,
            rows=self._rows,
            metrics={name: _metric_at(each) for name, each in seen.metrics.items()},
            share_evidence=None if share is None else round(share, DIGITS),
            seen_by_both=seen.seen_by_both,
            verdict=seen.verdict,
            reason=self._reason(seen),
        )

    def _reason(self, seen: Seen) -> str:
        """Say of which families a good verdict is: of all together, and of none by itself."""
        total = self._families.total()
        named = self.plan.names_families and seen.verdict is Verdict.GOOD
        if not named or len(self._families) < MORE_THAN_ONE:
            return seen.reason
        largest_first = sorted(self._families.items(), key=lambda each: (-each[1], each[0]))
        shares = ", ".join(f"{family} ({count / total:.1%})" for family, count in largest_first)
        return f"{seen.reason}; of all requests together, and not of each family's: {shares}"

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan.model_dump(mode="json"),
            "looks": [look.model_dump(mode="json") for look in self.looks],
            "trial": self._trial.to_json(),
            "rows": self._rows,
            "families": dict(self._families),
            "waiting": [each._asdict() for each in self._waiting.values()],
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Go on where an examination was written down."""
        examination = cls(Plan.model_validate(kept["plan"]))
        examination.looks = [Look.model_validate(each) for each in kept["looks"]]
        examination._trial = Trial.from_json(kept["trial"])
        examination._rows = kept["rows"]
        examination._families = Counter(kept["families"])
        waiting = [Observation(**_with_missing(each)) for each in kept["waiting"]]
        examination._waiting = {each.answers: each for each in waiting}
        return examination


def _by_writer(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    chains: dict[str, list[Entry]] = {}
    for entry in entries:
        chains.setdefault(entry.header.writer, []).append(entry)
    return {
        writer: sorted(chain, key=lambda entry: entry.header.seq)
        for writer, chain in chains.items()
    }


def _span(chain: Sequence[Entry]) -> Span:
    first, last = chain[0].header, chain[-1].header
    return Span(
        writer=first.writer,
        first=first.seq,
        through=last.seq,
        entry_hash=chain[-1].entry_hash.hex(),
    )


def _metric_at(seen: MetricSeen) -> MetricAt:
    arms = seen.incumbent, seen.candidate
    found, keys = seen.evidence, seen.by_keys
    return MetricAt(
        bad=round(found.bad, DIGITS),
        good=round(found.good, DIGITS),
        by_keys=None if keys is None else (round(keys.bad, DIGITS), round(keys.good, DIGITS)),
        values=(round(arms[0].values, DIGITS), round(arms[1].values, DIGITS)),
        missing=(arms[0].missing, arms[1].missing),
        verdict=seen.verdict,
    )


def _with_missing(kept: dict[str, Any]) -> dict[str, Any]:
    """Read values of an observation: JSON has no NaN, what is missing is null there."""
    values = {
        name: float("nan") if value is None else value for name, value in kept["values"].items()
    }
    return {**kept, "values": values}
