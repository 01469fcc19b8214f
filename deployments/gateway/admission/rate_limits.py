"""How many requests and rows a second each API key may send: token buckets, checked in memory.

A bucket fills at the key's rate up to its burst. A request passes while one token is in the bucket
and takes all it needs, below zero if need be; so the average holds to the row, and a body larger
than the burst is not refused for ever.

Of several gateways each has a share of every rate (see rate_shares.py). While Redis is away, the
shares stay as they were last agreed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from access.keys import Principal
from config_store.quotas import QuotasConfig
from deployments.api.errors import QuotaError

HOW_TO_CHANGE = "Ask an operator to raise quotas.keys.{key}.{setting} in the configuration"
# Whoever has not asked for so long is forgotten, unless its buckets have yet to fill.
IDLE_SECONDS = 600.0


class Bucket:
    """Tokens of one key, for requests or for rows."""

    __slots__ = ("_at", "_tokens", "asked", "burst", "rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = burst, now
        # Since the shares were last agreed; what was refused is counted too.
        self.asked = 0

    def take(self, count: int, now: float) -> bool:
        tokens = self._tokens + (now - self._at) * self.rate
        tokens = min(tokens, self.burst)
        self._at = now
        self.asked += count
        if tokens < 1.0 and tokens < self.burst:
            self._tokens = tokens
            return False
        self._tokens = tokens - count
        return True

    def is_full(self, now: float) -> bool:
        return self._tokens + (now - self._at) * self.rate >= self.burst

    def wait_seconds(self) -> float:
        """Tell how long it takes until the next request passes."""
        return max(min(1.0, self.burst) - self._tokens, 0.0) / self.rate


@dataclass(slots=True)
class KeyLimits:
    """One key's buckets, and the part of its quota that this gateway may spend."""

    principal: Principal
    requests: Bucket
    rows: Bucket
    used: float
    request_share: float = 1.0
    row_share: float = 1.0


class RateLimits:
    """The buckets of all keys on one gateway."""

    def __init__(
        self, clock: Callable[[], float], refused: Callable[[str], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._refused = refused
        self._config = QuotasConfig()
        self.keys: dict[str, KeyLimits] = {}
        # The share of a key that has not been seen since the gateways last agreed.
        self.usual_share = 1.0

    def configure(self, config: QuotasConfig) -> None:
        self._config = config
        for limits in self.keys.values():
            self._fit(limits)

    def take_request(self, principal: Principal) -> None:
        """Charge one request; QuotaError when the key has none left."""
        limits = self.keys.get(principal.key_id) or self._begin(principal)
        if not limits.requests.take(1, self._clock()):
            self._refuse(limits, "requests_per_second", limits.requests)

    def take_rows(self, principal: Principal, count: int) -> None:
        """Charge a body's rows; QuotaError when the key has none left."""
        limits = self.keys.get(principal.key_id) or self._begin(principal)
        if not limits.rows.take(count, self._clock()):
            self._refuse(limits, "rows_per_second", limits.rows)

    def take_shares(self, shares: Mapping[str, tuple[float, float]], usual: float) -> None:
        """Go by the shares of requests and rows that the gateways agreed on."""
        now, self.usual_share = self._clock(), usual
        for key, limits in list(self.keys.items()):
            if limits.requests.asked:
                limits.used = now
            limits.requests.asked = limits.rows.asked = 0
            agreed = shares.get(key, (usual, usual))
            if agreed != (limits.request_share, limits.row_share):
                limits.request_share, limits.row_share = agreed
                self._fit(limits)
            full = limits.requests.is_full(now) and limits.rows.is_full(now)
            if full and now - limits.used > IDLE_SECONDS:
                del self.keys[key]

    def demand(self) -> dict[str, tuple[int, int]]:
        """Count each key's requests and rows since the shares were last agreed."""
        return {
            key: (limits.requests.asked, limits.rows.asked)
            for key, limits in self.keys.items()
            if limits.requests.asked or limits.rows.asked
        }

    def _begin(self, principal: Principal) -> KeyLimits:
        now, share = self._clock(), self.usual_share
        quota = self._config.of(principal)
        requests, rows = quota.requests_per_second * share, quota.rows_per_second * share
        limits = KeyLimits(
            principal,
            Bucket(requests, requests * quota.burst_seconds, now),
            Bucket(rows, rows * quota.burst_seconds, now),
            now,
            share,
            share,
        )
        self.keys[principal.key_id] = limits
        return limits

    def _fit(self, limits: KeyLimits) -> None:
        quota = self._config.of(limits.principal)
        requests = quota.requests_per_second * limits.request_share
        rows = quota.rows_per_second * limits.row_share
        limits.requests.rate, limits.requests.burst = requests, requests * quota.burst_seconds
        limits.rows.rate, limits.rows.burst = rows, rows * quota.burst_seconds

    def _refuse(self, limits: KeyLimits, setting: str, bucket: Bucket) -> None:
        what = setting.removesuffix("_per_second")
        self._refused(what)
        principal = limits.principal
        allowed = getattr(self._config.of(principal), setting)
        how = HOW_TO_CHANGE.format(key=principal.key_id, setting=setting)
        raise QuotaError(
            f"The key {principal.key_id} may send {allowed:g} {what} a second. {how}",
            retry_after_s=max(1, math.ceil(bucket.wait_seconds())),
        )
