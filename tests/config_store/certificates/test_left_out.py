"""A certificate of a part of the step is judged again with the rest."""

from config_store.certificates.certificate import FIRST, Certificate
from config_store.certificates.examination import Examination
from config_store.certificates.left_out import judged_with_all, left_out
from config_store.certificates.recompute import Refuted, Verified, recompute
from models.evidence.verdict import Verdict
from observability.ledger.entry import Entry
from tests.config_store.certificates.step import NOW, Rows, chain, plan_of

GOOD = chain("gw-a", Rows(1).canary(2400))
BAD = chain("gw-b", Rows(2).canary(2400, allowed=False))


def certificate_of(*chains: list[Entry]) -> Certificate:
    examination = Examination(plan_of(paired=False))
    examination.look(NOW + 60, [entry for each in chains for entry in each])
    return examination.certificate(FIRST)


def ranges(*chains: list[Entry]) -> list[tuple[str, int, int]]:
    return [(c[0].header.writer, c[0].header.seq, c[-1].header.seq) for c in chains]


def test_what_is_named_is_not_left_out() -> None:
    whole = certificate_of(GOOD, BAD)
    assert whole.verdict is Verdict.BAD
    assert left_out(whole, ranges(GOOD, BAD)) == []


def test_a_gateway_that_was_left_out_is_found_and_counts() -> None:
    half = certificate_of(GOOD)
    assert half.verdict is Verdict.GOOD
    assert isinstance(recompute(half, GOOD), Verified)  # what it names is as it says
    assert left_out(half, ranges(GOOD, BAD)) == [("gw-b", 1, 48)]
    found = judged_with_all(half, GOOD, BAD)
    assert isinstance(found, Refuted)
    assert found.sentence.startswith("48 entries of gw-b were written during the step")
    assert "With them the step is bad (violation_rate" in found.sentence


def test_the_ends_of_a_chain_that_were_left_out_are_found() -> None:
    middle = certificate_of(GOOD[3:40])
    assert left_out(middle, ranges(GOOD)) == [("gw-a", 1, 3), ("gw-a", 41, 48)]


def test_what_came_late_and_changes_nothing_does_no_harm() -> None:
    most = certificate_of(GOOD[:46])
    assert isinstance(judged_with_all(most, GOOD[:46], GOOD[46:]), Verified)
