"""Who is asking, and may they: reads the key off a request and holds it against the ring."""

from collections.abc import Callable, Iterable

from access.keys import KeyRing, Principal, Role
from deployments.api.errors import ForbiddenError, UnauthorizedError, UnavailableError
from deployments.gateway.admission.rate_limits import RateLimits

Headers = Iterable[tuple[bytes, bytes]]

_NO_KEY = (
    "Send an API key in the header X-API-Key, or as Authorization: Bearer; "
    "`ballast key create --role client` makes one"
)


class Admission:
    """Holds the current ring of keys; a change of keys swaps the ring.

    Before the first ring was loaded no key can be judged. A 401 then would tell a client that its
    good key is bad, so it is a 503. Without rate limits nobody is held to a rate.
    """

    def __init__(self, ring: Callable[[], KeyRing | None], rates: RateLimits | None = None) -> None:
        self._ring = ring
        self._rates = rates

    def admit(self, headers: Headers, needed: Role) -> Principal:
        presented = _presented(headers)
        if presented is None:
            raise UnauthorizedError(_NO_KEY)
        ring = self._ring()
        if ring is None:
            raise UnavailableError("The API keys have not been loaded yet: try again")
        principal = ring.verify(presented)
        if principal is None:
            raise UnauthorizedError("The API key is unknown or revoked. " + _NO_KEY)
        if not principal.may(needed):
            raise ForbiddenError(
                f"This request needs the role {needed}, but the key has the role {principal.role}"
            )
        if self._rates is not None:
            self._rates.take_request(principal)
        return principal

    def admit_rows(self, principal: Principal, count: int) -> None:
        """Charge a body's rows to its key; QuotaError when the key has none left."""
        if self._rates is not None:
            self._rates.take_rows(principal, count)


def _presented(headers: Headers) -> bytes | None:
    bearer = None
    for name, value in headers:
        if name == b"x-api-key":
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
    return bearer
