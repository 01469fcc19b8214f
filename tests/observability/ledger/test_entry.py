from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.errors import DamagedEntryError
from observability.ledger.chain import Chain
from observability.ledger.decision import Decision
from observability.ledger.entry import NO_HASH, Header, decode, seal

rows = st.lists(st.binary(max_size=300), min_size=1, max_size=20)


def decisions(of: list[bytes]) -> list[Decision]:
    return [Decision("d", b"d" + row) for row in of]


@given(rows, st.integers(0, 2**63))
def test_what_is_linked_can_be_read_again(of: list[bytes], created_ms: int) -> None:
    genesis, entry = map(decode, Chain("gateway-1").link([seal(decisions(of))], created_ms))
    assert genesis.header == Header("gateway-1", 0, created_ms, 0)
    assert entry.header == Header("gateway-1", 1, created_ms, len(of))
    assert entry.rows == tuple(each.row for each in decisions(of))
    assert genesis.intact
    assert entry.intact
    assert genesis.prev_hash == NO_HASH
    assert entry.prev_hash == genesis.entry_hash


def test_the_hash_is_the_one_of_the_written_formula() -> None:
    """Computed from the bytes by hand, so that a reader in another language can do the same."""
    _, data = Chain("w").link([seal([Decision("a", b"a"), Decision("b", b"b")])], 7)
    entry = decode(data)
    header = bytes.fromhex("01 0000000000000001 0000000000000007 00000002 01") + b"w"
    leaves = [sha256(b"\x00" + row).digest() for row in (b"a", b"b")]
    root = sha256(b"\x01" + leaves[0] + leaves[1]).digest()
    assert entry.entry_hash == sha256(b"\x02" + entry.prev_hash + header + root).digest()
    assert data.startswith(header + entry.prev_hash + entry.entry_hash)


@given(rows, st.data())
def test_one_flipped_bit_is_seen(of: list[bytes], choice: st.DataObject) -> None:
    _, data = Chain("w").link([seal(decisions(of))], 7)
    place = choice.draw(st.integers(0, len(data) - 1))
    flipped = bytearray(data)
    flipped[place] ^= 1 << choice.draw(st.integers(0, 7))
    try:
        entry = decode(bytes(flipped))
    except DamagedEntryError:
        return
    assert not entry.intact


@given(rows, st.data())
def test_an_entry_that_is_cut_short_is_refused(of: list[bytes], choice: st.DataObject) -> None:
    _, data = Chain("w").link([seal(decisions(of))], 7)
    with pytest.raises(DamagedEntryError):
        decode(data[: choice.draw(st.integers(0, len(data) - 1))])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_entry_are_refused(data: bytes) -> None:
    with pytest.raises(DamagedEntryError):
        decode(data)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_rows_that_slipped_against_their_ids_are_refused(n: int) -> None:
    slipped = [Decision(f"id{i}", b'{"decision_id":"id%d"}' % (i + 1)) for i in range(n)]
    for batch in (slipped, [Decision("id9", b'{"decision_id":"id9"}'), *slipped]):
        with pytest.raises(ValueError, match="does not contain this id"):
            seal(batch)


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "é", "x" * 129])
def test_a_name_that_could_not_be_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a writer's name"):
        Chain(name)
