from datetime import UTC, datetime

import pytest

from access.keys import IssuedKey, KeyRing, Role, issue_key
from deployments.api.errors import ForbiddenError, UnauthorizedError, UnavailableError
from deployments.gateway.admission.admission import Admission

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def issued(role: Role, byte: int) -> IssuedKey:
    return issue_key(role, "", NOW, lambda n: bytes([byte]) * n)


KEYS = {role: issued(role, at) for at, role in enumerate(Role)}
RING = KeyRing(key.record for key in KEYS.values())
ADMISSION = Admission(lambda: RING)


def key_of(role: Role) -> bytes:
    return KEYS[role].presented.encode()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("needed", Role)
def test_a_role_may_what_it_includes_and_no_more(role: Role, needed: Role) -> None:
    headers = [(b"accept", b"*/*"), (b"x-api-key", key_of(role))]
    if role.includes(needed):
        principal = ADMISSION.admit(headers, needed)
        assert (principal.role, principal.key_id) == (role, KEYS[role].record.key_id)
    else:
        with pytest.raises(
            ForbiddenError, match=f"needs the role {needed}, but the key has the role {role}"
        ):
            ADMISSION.admit(headers, needed)


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER ", b"Bearer  "])
def test_a_key_may_come_as_a_bearer_token(scheme: bytes) -> None:
    headers = [(b"authorization", scheme + key_of(Role.CLIENT))]
    assert ADMISSION.admit(headers, Role.CLIENT).role is Role.CLIENT


def test_the_keys_own_header_goes_before_a_token() -> None:
    token, key = (b"authorization", b"Bearer someone-elses"), (b"x-api-key", key_of(Role.VIEWER))
    for headers in ([token, key], [key, token]):
        assert ADMISSION.admit(headers, Role.VIEWER).role is Role.VIEWER


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Basic dXNlcjpwYXNz")],
        [(b"authorization", b"Bearer")],
        [(b"cookie", b"x-api-key=ballast")],
    ],
)
def test_who_shows_no_key_is_told_how(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(UnauthorizedError, match="X-API-Key"):
        ADMISSION.admit(headers, Role.VIEWER)


@pytest.mark.parametrize(
    "presented",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"ballast_0_0", id="a guess"),
        pytest.param(key_of(Role.ADMIN)[:-1], id="cut short"),
        pytest.param(key_of(Role.ADMIN) + b"x", id="too long"),
        pytest.param(b"\xff" * 64, id="bytes"),
        pytest.param(b"a" * 1_000_000, id="a flood"),
    ],
)
def test_a_key_that_is_not_in_the_ring_opens_nothing(presented: bytes) -> None:
    with pytest.raises(UnauthorizedError, match="unknown or revoked") as refusal:
        ADMISSION.admit([(b"x-api-key", presented)], Role.VIEWER)
    # Answers are logged by others: what was shown is not in them.
    assert not presented or presented.decode("latin-1") not in refusal.value.message


def test_a_new_ring_counts_at_once() -> None:
    rings = [RING]
    admission = Admission(lambda: rings[-1])
    headers = [(b"x-api-key", key_of(Role.CLIENT))]
    assert admission.admit(headers, Role.CLIENT)
    revoked = KEYS[Role.CLIENT].record.model_copy(update={"revoked": True})
    rings.append(KeyRing([revoked]))
    with pytest.raises(UnauthorizedError):
        admission.admit(headers, Role.CLIENT)


def test_before_the_keys_are_loaded_no_key_is_called_unknown() -> None:
    unloaded = Admission(lambda: None)
    with pytest.raises(UnavailableError, match="keys have not been loaded") as refusal:
        unloaded.admit([(b"x-api-key", key_of(Role.CLIENT))], Role.CLIENT)
    assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)
    with pytest.raises(UnauthorizedError, match="X-API-Key"):
        unloaded.admit([], Role.CLIENT)
