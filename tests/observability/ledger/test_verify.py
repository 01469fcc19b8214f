from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.ledger.chain import Chain
from observability.ledger.decision import Decision
from observability.ledger.entry import Entry, decode, hash_of, seal
from observability.ledger.verify import Fault, Head
from tests.observability.ledger.chains import verify_chains


def chain(writer: str, length: int, rows: int = 3) -> list[Entry]:
    pen = Chain(writer)
    batches = [
        seal([Decision("d", f"d{seq}.{row}".encode()) for row in range(rows)])
        for seq in range(length)
    ]
    return [decode(data) for data in pen.link(batches, 1)]


def kinds(faults: list[Fault]) -> list[tuple[str, int]]:
    return [(fault.kind, fault.seq) for fault in faults]


def test_whole_chains_pass_and_show_their_heads() -> None:
    a, b = chain("a", 4), chain("b", 2)
    result = verify_chains([*a, *b])
    assert result.whole
    assert (result.entries, result.rows) == (5 + 3, 12 + 6)
    assert result.heads == {"a": Head(4, a[-1].entry_hash), "b": Head(2, b[-1].entry_hash)}


@given(st.permutations(chain("a", 4) + chain("b", 3)), st.integers(0, 8))
def test_order_and_repetition_do_not_matter(entries: list[Entry], repeated: int) -> None:
    result = verify_chains([*entries, entries[repeated]])
    assert result.whole
    assert result.entries == 9


@given(st.integers(0, 5))
def test_a_missing_entry_is_a_gap_unless_it_was_the_last(missing: int) -> None:
    entries = chain("a", 5)
    del entries[missing]
    expected = [] if missing == 5 else [("gap", missing + 1)]
    assert kinds(verify_chains(entries).faults) == expected


@given(st.integers(1, 5), st.integers(0, 2))
def test_an_altered_row_is_seen(seq: int, row: int) -> None:
    entries = chain("a", 5)
    rows = list(entries[seq].rows)
    rows[row] += b"!"
    entries[seq] = replace(entries[seq], rows=tuple(rows))
    assert kinds(verify_chains(entries).faults) == [("altered", seq)]


def test_reordered_rows_are_seen() -> None:
    entries = chain("a", 2)
    entries[1] = replace(entries[1], rows=entries[1].rows[::-1])
    assert kinds(verify_chains(entries).faults) == [("altered", 1)]


def test_a_removed_row_is_seen() -> None:
    entries = chain("a", 2)
    entries[1] = replace(entries[1], rows=entries[1].rows[:-1])
    assert kinds(verify_chains(entries).faults) == [("altered", 1)]


def test_entries_that_swapped_their_places_are_seen() -> None:
    entries = chain("a", 3)
    one, two = entries[1], entries[2]
    entries[1] = replace(two, header=replace(two.header, seq=1))
    entries[2] = replace(one, header=replace(one.header, seq=2))
    found = kinds(verify_chains(entries).faults)
    assert ("altered", 1) in found
    assert ("altered", 2) in found


def test_a_forger_who_rehashes_an_entry_breaks_the_link_to_the_next() -> None:
    entries = chain("a", 3)
    forged = replace(entries[1], rows=(b"forged", *entries[1].rows[1:]))
    entries[1] = replace(forged, entry_hash=hash_of(forged.prev_hash, forged.header, forged.root))
    assert kinds(verify_chains(entries).faults) == [("unlinked", 2)]


def test_a_forger_who_rehashes_the_rest_breaks_what_was_noted_down() -> None:
    noted = chain("a", 3)
    rewritten = chain("a", 3, rows=2)
    pinned = {"a": Head(3, noted[3].entry_hash)}
    assert verify_chains(rewritten).whole
    assert kinds(verify_chains(rewritten, pinned).faults) == [("conflict", 3)]


def test_two_entries_of_one_number_are_a_conflict() -> None:
    assert ("conflict", 1) in kinds(
        verify_chains([*chain("a", 1), chain("a", 1, rows=2)[1]]).faults
    )


def test_a_chain_cut_at_its_end_is_seen_by_who_noted_its_head() -> None:
    entries = chain("a", 5)
    pinned = {"a": Head(5, entries[5].entry_hash)}
    assert verify_chains(entries, pinned).whole
    assert kinds(verify_chains(entries[:4], pinned).faults) == [("truncated", 3)]


def test_a_chain_that_vanished_is_seen_by_who_noted_its_head() -> None:
    pinned = {"gone": Head(7, b"h")}
    assert kinds(verify_chains(chain("a", 1), pinned).faults) == [("truncated", 7)]


@pytest.mark.parametrize("foreign", [1, 2])
def test_an_entry_of_another_chain_does_not_fit(foreign: int) -> None:
    entries = chain("a", 3)
    other = chain("b", 3, rows=1)[foreign]
    moved = replace(other, header=replace(other.header, writer="a"))
    rehashed = replace(moved, entry_hash=hash_of(moved.prev_hash, moved.header, moved.root))
    entries[foreign] = rehashed
    assert ("unlinked", foreign) in kinds(verify_chains(entries).faults)
