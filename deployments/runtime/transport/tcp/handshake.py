"""How the two ends of a connection recognise each other: each proves that it has the secret.

Neither sends it: whoever listens on the port of a replica that died would learn it. Each end picks
a number, and proves itself by a keyed hash of both numbers, of its own part, and of the address.
With the address in it a listener cannot pass on what it hears to a replica that lives elsewhere.
"""

import hmac
import secrets
from enum import StrEnum
from typing import Any

import orjson

from deployments.runtime.transport.base import Address

NONCE_BYTES = 16


class Part(StrEnum):
    """Which end of a connection proves itself: the proof of one is of no use to the other."""

    GATEWAY = "gateway"
    REPLICA = "replica"


def stage_secret(secret: bytes, stage: str) -> bytes:
    """Derive the secret of one stage's wire.

    The port of a replica that died may become another stage's while the directory still names it:
    who asks for the one must not go on with the other.
    """
    return hmac.digest(secret, stage.encode(), "sha256")


def nonce() -> str:
    """Pick a number that no connection had before."""
    return secrets.token_hex(NONCE_BYTES)


def proof(secret: bytes, part: Part, address: Address, nonces: tuple[str, str]) -> str:
    """Prove the secret; the replica's nonce comes first."""
    content = orjson.dumps([part, *address, *nonces])
    return hmac.digest(secret, content, "sha256").hex()


def proves(offered: Any, expected: str) -> bool:
    """Compare in constant time what came from the other end."""
    return isinstance(offered, str) and hmac.compare_digest(offered.encode(), expected.encode())
