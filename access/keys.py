"""Who is asking: API keys, the roles they carry, and the ring that recognises them."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from pydantic import AwareDatetime, Field

from settings.frozen import Frozen

SECRET_BYTES = 32
KEY_ID_BYTES = 6
PREFIX = "ballast"
# No key of ours is longer; anything that is gets refused before it costs a hash.
LONGEST_KEY = 128


class Role(StrEnum):
    """What a key may do; each role includes those before it."""

    VIEWER = "viewer"
    CLIENT = "client"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from, as far as the rest of the platform needs to know."""

    key_id: str
    role: Role

    def may(self, needed: Role) -> bool:
        return self.role.includes(needed)


class KeyRecord(Frozen):
    """What is kept of a key: enough to recognise it, nothing to use it with.

    A plain SHA-256 is right here, and a slow password hash would not be: the secret is 256 random
    bits, so there is no guess to slow down, and the check is on the path of every request.
    """

    key_id: str
    role: Role
    hash: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the whole key, in hex.")
    created: AwareDatetime
    note: str = ""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; the only moment at which its secret exists in the clear."""

    presented: str
    record: KeyRecord

    def __repr__(self) -> str:
        return f"IssuedKey({self.record.key_id!r})"  # a log line must not become a key


def issue_key(
    role: Role, note: str, now: datetime, random_bytes: Callable[[int], bytes]
) -> IssuedKey:
    """Make a key; random_bytes is secrets.token_bytes anywhere but in a test."""
    key_id = random_bytes(KEY_ID_BYTES).hex()
    presented = f"{PREFIX}_{key_id}_{_urlsafe(random_bytes(SECRET_BYTES))}"
    digest = sha256(presented.encode()).hexdigest()
    return IssuedKey(
        presented, KeyRecord(key_id=key_id, role=role, hash=digest, created=now, note=note)
    )


class KeyRing:
    """An immutable snapshot of the keys that are good now; a change comes as a new ring.

    `unread` names the keys whose records this release cannot read: they open nothing.
    """

    __slots__ = ("_by_digest", "unread")

    def __init__(self, records: Iterable[KeyRecord] = (), unread: tuple[str, ...] = ()) -> None:
        self.unread = unread
        self._by_digest = {
            (digest := bytes.fromhex(record.hash)): (digest, Principal(record.key_id, record.role))
            for record in records
            if not record.revoked
        }

    def __len__(self) -> int:
        return len(self._by_digest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyRing):
            return False
        return (self._by_digest, self.unread) == (other._by_digest, other.unread)

    __hash__ = None  # type: ignore[assignment] # a snapshot is compared, never used as a key

    def holds(self, key_id: str) -> bool:
        """Tell whether the key of this id is good now."""
        return any(principal.key_id == key_id for _, principal in self._by_digest.values())

    def verify(self, presented: bytes) -> Principal | None:
        """Tell who presents this key, or None.

        The lookup is by digest, so its timing tells at most something about the digest of a guess,
        which says nothing about any key; the last word is a comparison in constant time.
        """
        if len(presented) > LONGEST_KEY:
            return None
        digest = sha256(presented).digest()
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]


def _urlsafe(secret: bytes) -> str:
    return urlsafe_b64encode(secret).rstrip(b"=").decode()
