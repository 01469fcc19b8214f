"""What one API key may use: requests and rows a second, and how many states it may create.

The defaults keep one key that runs wild from filling a machine, and refuse nobody else. The rates
are beyond what one machine serves (thousands of requests a second, some hundred thousand rows), so
on a fresh machine the lanes refuse before them; lower them for each key where several share a
platform. The counts follow from memory: a new stream takes about 1 kB of the embedded Redis and a
study of 2,000 candidates of eight parameters 400 kB, so that one key that begins as many as it may
holds less than a gigabyte.
"""

from typing import Literal

from pydantic import Field

from access.keys import Principal, Role
from settings.frozen import Frozen

Counted = Literal["streams", "experiments", "studies"]


class Quota(Frozen):
    """What one key may use."""

    requests_per_second: float = Field(50_000.0, gt=0, le=1e9)
    rows_per_second: float = Field(500_000.0, gt=0, le=1e9)
    burst_seconds: float = Field(
        2.0,
        gt=0,
        le=3600,
        description="How many seconds' worth of requests and rows may arrive at once.",
    )
    streams: int = Field(
        100_000, ge=0, description="Regime streams and anomaly streams, counted together."
    )
    experiments: int = Field(1_000, ge=0)
    studies: int = Field(1_000, ge=0)


class QuotaChange(Frozen):
    """What differs from the default for a role or a key; the rest stays as it is."""

    requests_per_second: float | None = Field(None, gt=0, le=1e9)
    rows_per_second: float | None = Field(None, gt=0, le=1e9)
    burst_seconds: float | None = Field(None, gt=0, le=3600)
    streams: int | None = Field(None, ge=0)
    experiments: int | None = Field(None, ge=0)
    studies: int | None = Field(None, ge=0)


class QuotasConfig(Frozen):
    """A key's own value counts, else its role's, else the default."""

    default: Quota = Quota()
    roles: dict[Role, QuotaChange] = Field(default_factory=dict)
    keys: dict[str, QuotaChange] = Field(
        default_factory=dict, description="By key id, as `ballast key list` prints it."
    )

    def of(self, principal: Principal) -> Quota:
        changes: dict[str, float] = {}
        for change in (self.roles.get(principal.role), self.keys.get(principal.key_id)):
            if change is not None:
                changes |= change.model_dump(exclude_none=True)
        return self.default.model_copy(update=changes) if changes else self.default
