"""What is counted of a replay takes no more memory than there are kinds that somebody reads."""

from deployments.impact.tally import MOST_KINDS, MOST_TRACKED, OTHERS, Tally
from deployments.impact.wire import Change, Outcome

ROWS = 3 * MOST_TRACKED


def outcome(at: int) -> Outcome:
    return {
        "id": f"d{at}",
        "family": "bayes-opt",
        "version": 1,
        "asked_again": False,
        "changes": [Change(f"p{at}", None, 0.0, 1.0)],
        "flips": [(f"p{at}", "a", "b")],
        "new": [(f"range:p{at}", "unsafe")],
        "gone": [],
        "refused": "",
        "alarm": "",
    }


def test_names_that_clients_choose_are_told_apart_up_to_a_measure() -> None:
    tally = Tally()
    for at in range(ROWS):
        tally.add(outcome(at))
        tally.add({"id": f"o{at}", "family": "bayes-opt", "version": 1, "left_out": f"it is {at}"})
    family = tally._families["bayes-opt"]
    tracked = (family.fields, family.flips, family.new, tally._left_out)
    assert {len(each) for each in tracked} == {MOST_TRACKED + 1}
    shown = tally.families(None)["bayes-opt"]
    assert (shown.replayed, shown.changed.rows) == (ROWS, ROWS)
    lists = (shown.fields, shown.flips, shown.rules, tally.left_out())
    assert {len(each) for each in lists} == {MOST_KINDS}
    assert shown.fields[OTHERS].changed.rows == ROWS - MOST_TRACKED
    assert tally.left_out()[0].rows == ROWS - MOST_TRACKED
