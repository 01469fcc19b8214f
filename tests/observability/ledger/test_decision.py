import os
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.ledger.decision import DecisionIds, id_in, same_ids, time_of, writer_name

NOW = 1_795_000_000.123


def test_an_id_is_a_uuid_of_version_7_that_carries_its_time() -> None:
    (name,) = DecisionIds(lambda: NOW, os.urandom).take(1)
    parsed = uuid.UUID(name)
    assert str(parsed) == name
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == int(NOW * 1000)


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40), st.integers(1, 40))
def test_ids_sort_in_the_order_they_were_made_whatever_the_clock_does(
    steps: list[int], n: int
) -> None:
    times = iter([NOW + sum(steps[:i]) / 1000 for i in range(len(steps))])
    ids = DecisionIds(lambda: next(times), os.urandom)
    made = [name for _ in steps for name in ids.take(n)]
    assert made == sorted(set(made))


def test_more_ids_than_a_millisecond_holds_borrow_from_the_next() -> None:
    made = DecisionIds(lambda: NOW, os.urandom).take(10_000)
    assert made == sorted(set(made))
    assert all(uuid.UUID(name).version == 7 for name in made)


def test_replicas_never_make_the_same_id_in_the_same_millisecond() -> None:
    made = [name for _ in range(50) for name in DecisionIds(lambda: NOW, os.urandom).take(64)]
    assert len(set(made)) == 50 * 64


def test_every_random_bit_comes_from_the_given_source() -> None:
    (name,) = DecisionIds(lambda: NOW, lambda n: b"\xff" * n).take(1)
    assert name[19:] == "bfff-ffffffffffff"


def test_a_restarted_writer_has_another_name_that_a_chain_accepts() -> None:
    first, second = writer_name("gateway", os.urandom), writer_name("gateway", os.urandom)
    assert first != second
    assert re.fullmatch("gateway-[0-9a-f]{16}", first)


@pytest.mark.parametrize("n", [0, 1, 64])
def test_as_many_ids_as_asked_for(n: int) -> None:
    assert len(DecisionIds(lambda: NOW, os.urandom).take(n)) == n


@pytest.mark.parametrize(
    ("row", "own"),
    [
        (b'{"decision_id":"a"}', "a"),
        (b'{"timestamp":"2026","decision_id":"a","answer":{"decision_id":"b"}}', "a"),
        (b'{"of":{"decision_id":"b"},"decision_id":"a"}', "a"),
        (b'{"of":[{"decision_id":"b"}],"decision_id":"a"}', "a"),
        (b'{"note":"{\\"decision_id\\":\\"b\\"","decision_id":"a"}', "a"),
        (b'{ "decision_id" : "a" }', "a"),
        (b'{"decision_id":"a\\u0062"}', "ab"),
        (b'{"of":{"decision_id":"b"}}', ""),
        (b'{"decision_id":"\xff"}', "\ufffd"),
        (b"[1]", ""),
        (b"no row", ""),
        (b"", ""),
    ],
)
def test_a_rows_own_id_is_read_and_no_other(row: bytes, own: str) -> None:
    assert id_in(row) == own


def test_an_ids_time_is_read_and_that_of_no_other_text() -> None:
    (name,) = DecisionIds(lambda: NOW, os.urandom).take(1)
    assert time_of(name) == int(NOW * 1000)
    for other in ("", "unknown", "x" * 36, name + "0"):
        assert time_of(other) is None


def test_ids_of_a_request_are_the_same_each_time_and_sort_by_row() -> None:
    ids = same_ids(int(NOW * 1000), "a request", 500)
    assert ids == same_ids(int(NOW * 1000), "a request", 500)
    assert ids == sorted(set(ids))
    assert set(ids).isdisjoint(same_ids(int(NOW * 1000), "another", 500))
    for name in ids:
        parsed = uuid.UUID(name)
        assert (str(parsed), parsed.version, parsed.variant) == (name, 7, uuid.RFC_4122)
        assert time_of(name) == int(NOW * 1000)
