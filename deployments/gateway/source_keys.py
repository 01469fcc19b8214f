"""Which keys may send telemetry under a source's name."""

from collections.abc import Sequence

from access.keys import Principal
from deployments.api.errors import ForbiddenError


def check_key(name: str, keys: Sequence[str], principal: Principal) -> None:
    """Refuse a key that a source does not list; where it lists none, the role is enough."""
    if keys and principal.key_id not in keys:
        raise ForbiddenError(
            f"The key {principal.key_id} may not write to the source {name!r}: use one of its "
            f"own, or add this one to `keys` of sources.named.{name} in the configuration"
        )
