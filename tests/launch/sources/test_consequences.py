"""What is said to follow from a missing metric, against what training does without it."""

from launch.sources.consequences import follows
from models.needs import CAPACITY, TAIL

ALL = {name for need in (TAIL, CAPACITY) for choice in need.required for name in choice}


def test_a_model_that_needs_it_is_named_with_who_answers_instead() -> None:
    said = follows("cpu", ALL - {"cpu"})
    assert said == f"not trained: {CAPACITY.model} ({CAPACITY.until_then})"


def test_one_of_several_that_would_do_is_no_loss_while_another_is_there() -> None:
    assert TAIL.model not in follows("p95_ms", {"p99_ms"})
    assert TAIL.model in follows("p95_ms", {"p50_ms"})


def test_what_a_model_can_do_without_is_said_with_what_it_does_then() -> None:
    said = follows("infra", ALL)
    assert "does not see pressure" in said
    assert "assumed value" in said


def test_what_nothing_uses_is_nothing_lost() -> None:
    assert follows("memory", ALL) == "nothing: no answer uses it"
