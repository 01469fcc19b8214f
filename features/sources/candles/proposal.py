"""Proposes how an upstream's candles become metrics: how it is asked, and what it gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from features.errors import NothingUsableError, SourceRefusedError
from features.sources.candles.answers import Wanted, candles_of, rows_in
from features.sources.candles.api import CandleApi
from features.sources.candles.conventions import QUESTIONS, names_in, symbols_in
from features.sources.candles.rules import CandleMapping, CandleNames, PerSecond, Question
from features.sources.candles.source import CandleSource, Market
from features.sources.source import Gathered

INTERVALS: Final = 10
# So many candles are looked at, the newest, until there is one: a market closes for days.
_LOOKED_AT: Final = (60, 500, 5_000)
MOST_SYMBOLS: Final = 1_000


@dataclass(frozen=True, slots=True)
class CandleProposal:
    """A mapping for one upstream, and what it gave of the newest candles that are there."""

    mapping: CandleMapping
    symbols: tuple[str, ...]
    sample: Gathered
    newest: int
    """When the newest candle of the first symbol began, epoch seconds."""


async def propose(api: CandleApi, market: Market, now: float) -> CandleProposal:
    """Ask how the upstream is asked, and how it answers; NothingUsableError says why it cannot be.

    Without symbols those are taken that it lists.
    """
    if not market.symbols:
        market = replace(market, symbols=await _listed(api))
    asked, names, newest = await _understood(api, market, now)
    mapping = proposed(asked, names)
    return CandleProposal(
        mapping, market.symbols, await sample_of(api, mapping, market, now, newest), newest
    )


def proposed(asked: Question, names: CandleNames) -> CandleMapping:
    """Take what is traded as the rate at which a market asks for something."""
    counted = PerSecond(field="volume" if names.trades is None else "trades")
    return CandleMapping(asked=asked, names=names, metrics={"request_rate": counted})


async def sample_of(
    api: CandleApi, mapping: CandleMapping, market: Market, now: float, newest: int
) -> Gathered:
    """Give what a mapping makes of the candles up to one."""
    source = CandleSource("it", api, mapping, replace(market, lateness_seconds=0), lambda: now)
    cadence = market.cadence_seconds
    return await source.range(newest - (INTERVALS - 1) * cadence, newest + cadence)


async def _listed(api: CandleApi) -> tuple[str, ...]:
    try:
        found = symbols_in(await api.symbols())
    except (SourceRefusedError, NothingUsableError):
        found = ()
    if not found:
        raise NothingUsableError("it lists no symbols under /symbols: name them with --symbol")
    if len(found) > MOST_SYMBOLS:
        raise NothingUsableError(
            f"it lists {len(found)} symbols, and {MOST_SYMBOLS} are the limit of one source: name "
            "those that count with --symbol"
        )
    return found


async def _understood(
    api: CandleApi, market: Market, now: float
) -> tuple[Question, CandleNames, int]:
    """Find the parameters and the names by which the first symbol has a candle."""
    cadence, refusals, answered = market.cadence_seconds, list[SourceRefusedError](), False
    stop = int(now - market.lateness_seconds) // cadence * cadence
    for count in _within(market.most_candles):
        wanted = Wanted(market.symbols[0], cadence, stop - count * cadence, stop)
        for asked in QUESTIONS:
            try:
                body = await api.raw(wanted, asked)
            except SourceRefusedError as error:
                refusals.append(error)
                continue
            answered, names = True, names_in(body)
            if names is not None and (newest := _newest(body, names, wanted, now)) is not None:
                return asked, names, newest
    if not answered:
        raise refusals[0]
    raise NothingUsableError(
        f"it has no candle of {market.symbols[0]} among the newest {market.most_candles}: see "
        "whether it was traded, or name another one first with --symbol"
    )


def _within(most: int) -> Sequence[int]:
    return sorted({min(count, most) for count in _LOOKED_AT})


def _newest(body: bytes, names: CandleNames, wanted: Wanted, now: float) -> int | None:
    candles, _ = candles_of(rows_in(body, names), names, wanted, now)
    return int(candles.ts[-1]) if len(candles) else None
