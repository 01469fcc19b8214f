"""What is said of the first look is what the judge does."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.history.look_times import SETTLING_SECONDS, first_look
from deployments.history.step_evidence import StepEvidence
from tests.config_store.certificates.step import plan_of


@given(st.floats(1.7e9, 1.9e9))
def test_the_first_look_is_due_when_it_is_said_to_be_and_not_before(begun: float) -> None:
    begins_ms = int((begun + SETTLING_SECONDS) * 1000)
    evidence = StepEvidence.begin(plan_of(paired=False).model_copy(update={"begins_ms": begins_ms}))
    due = first_look(begun)
    assert not evidence.due(due - 0.01)
    assert evidence.due(due)
    assert 25 <= due - begun <= 86
