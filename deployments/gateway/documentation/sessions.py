"""Who may read the documentation without a key in a header, as a browser cannot send one."""

import hashlib
from collections.abc import Callable
from ipaddress import ip_address

from itsdangerous import BadSignature, TimestampSigner

from access.keys import KeyRing, Principal

COOKIE = "ballast_docs"
SESSION_SECONDS = 8 * 3600


def is_loopback(host: str) -> bool:
    """Tell whether an address that a port is bound to is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class _Signer(TimestampSigner):
    """Signs with a clock that is given to it."""

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        super().__init__(secret, salt="documentation", digest_method=hashlib.sha256)
        self._clock = clock

    def get_timestamp(self) -> int:
        return int(self._clock())


class Sessions:
    """Signed cookies that name a key, good for the documentation only.

    The cookie holds no secret of the key's: whoever reads it can ask for nothing else. All
    gateways sign with the platform's own secret, and each checks that the key was not revoked.
    """

    def __init__(
        self, secret: bytes, ring: Callable[[], KeyRing | None], clock: Callable[[], float]
    ) -> None:
        self._signer = _Signer(secret, clock)
        self._ring = ring

    def begin(self, principal: Principal) -> str:
        """Give the value of the cookie."""
        return self._signer.sign(principal.key_id).decode()

    def holds(self, cookie: str | None) -> bool:
        """Tell whether the cookie was signed here, lately, for a key that is still good."""
        if not cookie:
            return False
        try:
            key_id = self._signer.unsign(cookie, max_age=SESSION_SECONDS).decode()
        except (BadSignature, ValueError):
            return False
        ring = self._ring()
        return ring is not None and ring.holds(key_id)
