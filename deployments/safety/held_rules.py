"""The emergency rules of the active version, held against what was counted, and against drift."""

from collections.abc import Sequence

from deployments.runtime.batch import Batch
from safety.drift import Drift
from safety.emergency import DriftRule, EmergencyRules, Reason, Tallies, first_broken


class HeldRules:
    """Of one replica: what it knows of drift is of its own answers."""

    def __init__(self) -> None:
        self.rules = EmergencyRules()
        self._drifts: dict[DriftRule, Drift] = {}

    def configure(self, rules: EmergencyRules) -> None:
        """Take over the rules of another version; what is known of drift stays."""
        self.rules = rules
        self._drifts = {
            rule: self._drifts.get(rule) or Drift(rule.least_rows, rule.seconds)
            for rule in rules.drift
        }

    @property
    def watch_drift(self) -> bool:
        return bool(self._drifts)

    def note(self, batch: Batch, rows: int, now: float) -> None:
        """Note the first rows of a batch where a rule watches how they are spread."""
        for rule, drift in self._drifts.items():
            if (
                rule.family == batch.family
                and (column := batch.columns.get(rule.field)) is not None
            ):
                drift.note(column[:rows], now)

    def forget(self) -> None:
        """Begin anew with drift, after an emergency."""
        for drift in self._drifts.values():
            drift.clear()

    def broken(self, platform: Sequence[Tallies], now: float) -> Reason | None:
        """Hold them against what is in force, as all replicas counted it."""
        for rule, drift in self._drifts.items():
            score = drift.score(now)
            if score is not None and score > rule.score:
                return Reason(
                    "drift",
                    f"the answers' {rule.field} ({rule.family}) are spread otherwise than they "
                    f"were: {score:.2f}, and the policy allows {rule.score:g}",
                )
        return first_broken(self.rules, platform)

    def broken_by(self, candidate: Sequence[Tallies], platform: Sequence[Tallies]) -> Reason | None:
        """Hold them against a rollout's candidate, where they hold without it.

        Its rows are held alone, and as they add to the others: its share of errors may be hidden
        among the others' rows, and a count of theirs may need its rows to be too many.
        """
        if (why := first_broken(self.rules, candidate)) is not None:
            return why
        if (why := first_broken(self.rules, [*candidate, *platform])) is not None:
            return Reason(why.rule, f"with its rows {why.reason}")
        return None
