import re
import secrets
import time
import timeit
from datetime import UTC, datetime
from hashlib import sha256
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from access.keys import LONGEST_KEY, IssuedKey, KeyRecord, KeyRing, Principal, Role, issue_key

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
ORDER = ["viewer", "client", "operator", "approver", "admin"]


def issue(role: Role = Role.CLIENT, note: str = "") -> IssuedKey:
    return issue_key(role, note, NOW, secrets.token_bytes)


KEYS = [issue(role) for role in Role for _ in range(10)]
RING = KeyRing(key.record for key in KEYS)


@pytest.mark.parametrize(("has", "needs"), list(product(ORDER, ORDER)))
def test_each_role_includes_those_before_it(has: str, needs: str) -> None:
    allowed = ORDER.index(has) >= ORDER.index(needs)
    assert Role(has).includes(Role(needs)) is allowed
    assert Principal("k", Role(has)).may(Role(needs)) is allowed


def test_a_key_looks_as_it_should() -> None:
    key = issue()
    shape = re.fullmatch(r"ballast_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", key.presented)
    assert shape is not None
    assert shape[1] == key.record.key_id
    assert len(key.presented) <= LONGEST_KEY


def test_the_record_holds_the_hash_and_not_the_secret() -> None:
    key = issue(note="desk 4")
    assert key.record.hash == sha256(key.presented.encode()).hexdigest()
    secret = key.presented.split("_", 2)[2]
    assert secret not in key.record.model_dump_json()
    assert secret not in repr(key)
    assert (key.record.created, key.record.note) == (NOW, "desk 4")


def test_no_two_keys_are_alike() -> None:
    assert len({key.presented for key in KEYS}) == len({key.record.key_id for key in KEYS}) == 50


def test_every_key_is_recognised_with_its_role() -> None:
    for key in KEYS:
        assert RING.verify(key.presented.encode()) == Principal(key.record.key_id, key.record.role)


@given(st.sampled_from(KEYS), st.integers(0, 63), st.integers(1, 255))
def test_a_key_with_one_byte_changed_is_nobodys(key: IssuedKey, at: int, flip: int) -> None:
    presented = bytearray(key.presented.encode())
    presented[at] ^= flip
    assert RING.verify(bytes(presented)) is None


@given(st.binary(max_size=300))
def test_anything_else_is_nobodys(presented: bytes) -> None:
    assert RING.verify(presented) is None


def test_the_hash_itself_opens_nothing() -> None:
    record = KEYS[0].record
    assert RING.verify(record.hash.encode()) is None
    assert RING.verify(bytes.fromhex(record.hash)) is None


def test_a_revoked_key_is_nobodys() -> None:
    key = issue()
    revoked = key.record.model_copy(update={"revoked": True})
    assert KeyRing([key.record]).verify(key.presented.encode()) is not None
    assert KeyRing([revoked]).verify(key.presented.encode()) is None


def test_rings_with_the_same_good_keys_are_equal() -> None:
    one, other = issue(), issue()
    assert KeyRing([one.record, other.record]) == KeyRing([other.record, one.record])
    assert KeyRing([one.record]) != KeyRing([other.record])
    gone = other.record.model_copy(update={"revoked": True})
    assert KeyRing([one.record, gone]) == KeyRing([one.record])


@pytest.mark.parametrize(
    "wrong",
    [
        {"hash": "abc"},
        {"hash": "Z" * 64},
        {"role": "root"},
        {"created": datetime(2026, 3, 2)},  # noqa: DTZ001 - a time without a zone is the point
        {"secret": "s"},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KeyRecord.model_validate(KEYS[0].record.model_dump() | wrong)


def test_a_check_costs_less_than_three_microseconds() -> None:
    presented = KEYS[7].presented.encode()
    # Time of this thread, and the best of many: other programs on the machine do not count.
    timer = timeit.Timer(lambda: RING.verify(presented), timer=time.thread_time)
    assert min(timer.repeat(number=200, repeat=200)) / 200 < 3e-6
