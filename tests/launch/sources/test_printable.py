"""What a stranger's label says steers no terminal."""

from hypothesis import given
from hypothesis import strategies as st

from launch.sources.proposal_text import few, printable


@given(st.text())
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    assert all(each.isprintable() or each == "\n" for each in printable(text))


def test_what_reads_well_stays_as_it_is() -> None:
    assert printable("Bücher-Service 7\n  ✓") == "Bücher-Service 7\n  ✓"
    assert few(("a\x1b]0;owned\x07", "b")) == "a\\x1b]0;owned\\x07, b"
