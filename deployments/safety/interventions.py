"""What people put over the policy: overrides, and an admin's word that its limits are not asked."""

from collections.abc import Callable

from config_store.steering.state import Override, SteeringState
from deployments.runtime.batch import Batch, Judgement
from deployments.safety.judge import Judge
from safety.overrides import CHECKS, Overrides


class Interventions:
    """Those of the steering state, made ready for each policy until they change.

    Not until the revision does: a Redis that lost its last second gives one out again.
    """

    def __init__(self, state: Callable[[], SteeringState | None], *, asked_to_be_off: bool) -> None:
        """Take whether ENABLE_SAFETY_CHECKS is false; without an admin's word that says nothing."""
        self._state = state
        self._asked_to_be_off = asked_to_be_off
        self._made_of: tuple[Override, ...] = ()
        self._ready: dict[tuple[str, str], Overrides] = {}

    def override(self, judged: Judgement, batch: Batch, judge: Judge, now: float) -> None:
        """Put what people wanted into the answers, and name it; lists in answers stay."""
        state = self._state()
        if state is None or not state.overrides:  # nearly always
            return
        overrides = self._of(state, batch.family, judge)
        if overrides:
            entities = batch.entities[: len(batch) - batch.items]
            judged.columns, judged.overrides = overrides.apply(judged.columns, entities, now)

    def are_checks_off(self, family: str, now: float) -> bool:
        """Tell whether a start asked for it and an admin confirmed it for this family."""
        if not self._asked_to_be_off:
            return False
        state = self._state()
        return state is not None and any(
            each.family == family and each.field == CHECKS for each in state.overrides_at(now)
        )

    def _of(self, state: SteeringState, family: str, judge: Judge) -> Overrides:
        if state.overrides != self._made_of:
            self._made_of = state.overrides
            self._ready.clear()
        ready = self._ready.get((family, judge.policy_hash))
        if ready is None:
            wanted = [each for each in state.overrides if each.family == family]
            ready = self._ready[family, judge.policy_hash] = Overrides(judge.policy, wanted)
        return ready
