"""Looks at an upstream of candles that is to be connected."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

from config_store.sources import CandlesSource
from deployments.telemetry.building import market_of
from features.sources.candles.api import CandleApi
from features.sources.candles.proposal import propose, sample_of
from features.sources.candles.rules import CandleMapping
from features.sources.source import Gathered
from launch.sources.connecting import LOOKING
from launch.sources.validation import checked, read_file, refuse_password

# What the other fields are checked with, before there is a mapping, and before a symbol is known.
_ANY_MAPPING: Final = {"metrics": {"request_rate": {"kind": "per_second", "field": "volume"}}}
_ANY_SYMBOL: Final = "ANY"


@dataclass(frozen=True, slots=True)
class Upstream:
    """The upstream that a user names."""

    name: str
    url: str
    symbols: tuple[str, ...]
    cadence_seconds: int
    exchange: str | None
    lateness_seconds: int
    token_file: str | None

    def source(self, mapping: Any, symbols: tuple[str, ...]) -> CandlesSource:
        """Give the source as it would be configured."""
        fields = {
            "url": self.url,
            "symbols": symbols,
            "cadence_seconds": self.cadence_seconds,
            "exchange": self.exchange,
            "lateness_seconds": self.lateness_seconds,
            "token_file": self.token_file,
            "mapping": mapping,
        }
        return checked(self.name, lambda: CandlesSource.model_validate(fields))


@dataclass(frozen=True, slots=True)
class CandlesSeen:
    """What was found of an upstream, and the source that is made of it."""

    source: CandlesSource
    sample: Gathered


def check_upstream(upstream: Upstream) -> None:
    """Check what the user wrote, before anything is asked."""
    refuse_password(upstream.url)
    upstream.source(_ANY_MAPPING, upstream.symbols or (_ANY_SYMBOL,))


def read_own(file: Path) -> CandleMapping:
    """Read a mapping of the user's own."""
    return read_file(file, "mapping", CandleMapping.model_validate_json)


async def look_at(upstream: Upstream, own: CandleMapping | None, now: datetime) -> CandlesSeen:
    """Ask for the newest candles, by a mapping of the user's own or by the one that is proposed."""
    plain = upstream.source(own or _ANY_MAPPING, upstream.symbols or (_ANY_SYMBOL,))
    market = market_of(plain)
    api = CandleApi(
        upstream.name,
        str(plain.url),
        random=SystemRandom().random,
        token_file=upstream.token_file,
        limits=LOOKING,
    )
    at = now.timestamp()
    try:
        if own is not None:
            cadence = plain.cadence_seconds
            newest = int(at - plain.lateness_seconds) // cadence * cadence - cadence
            return CandlesSeen(plain, await sample_of(api, own, market, at, newest))
        wanted = market if upstream.symbols else replace(market, symbols=())
        found = await propose(api, wanted, at)
    finally:
        await api.close()
    return CandlesSeen(upstream.source(found.mapping, found.symbols), found.sample)
