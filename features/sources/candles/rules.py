"""How candles of a market become metrics of entities, and how an upstream writes them, as data."""

from collections.abc import Mapping as ReadOnly
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from features.sources.rules import Metric
from settings.frozen import Frozen

FieldName = Annotated[str, Field(min_length=1, max_length=100)]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,62}$")]
Symbol = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$")]
Price = Literal["open", "high", "low", "close"]
CandleField = Literal["open", "high", "low", "close", "volume", "trades"]
TimeUnit = Literal["s", "ms", "iso"]

# How an upstream is told the seconds of a candle.
TIMEFRAMES: Final[ReadOnly[int, str]] = {
    60: "1m",
    300: "5m",
    900: "15m",
    1800: "30m",
    3600: "1h",
}


class Question(Frozen):
    """The names of the parameters that `/candles` takes."""

    symbol: ParameterName = "symbol"
    timeframe: ParameterName = "timeframe"
    start: ParameterName = Field("from", description="Of the first candle that is wanted.")
    stop: ParameterName = Field("to", description="Of the moment before which candles begin.")
    limit: ParameterName = "limit"
    time_unit: TimeUnit = "s"


class CandleNames(Frozen):
    """Where each part of a candle is in the answer: a list of objects, one for each candle."""

    rows: FieldName | None = Field(
        "candles", description="The member that holds the list; null: the answer is the list."
    )
    time: FieldName = Field("ts", description="When the candle begins.")
    time_unit: TimeUnit = "s"
    open: FieldName = "open"
    high: FieldName = "high"
    low: FieldName = "low"
    close: FieldName = "close"
    volume: FieldName = "volume"
    trades: FieldName | None = Field(None, description="How many trades; null: nobody says.")


class PerSecond(Frozen):
    """What was traded, a second."""

    kind: Literal["per_second"] = "per_second"
    field: Literal["volume", "trades"]
    times: float = 1.0


class Level(Frozen):
    """A price as it is."""

    kind: Literal["level"] = "level"
    field: Price
    times: float = 1.0


CandleRule = Annotated[PerSecond | Level, Field(discriminator="kind")]


class CandleMapping(Frozen):
    """How candles become metrics; an entity is a symbol."""

    asked: Question = Question()
    names: CandleNames = CandleNames()
    metrics: dict[Metric, CandleRule] = Field(min_length=1)

    @model_validator(mode="after")
    def _counts_what_is_there(self) -> Self:
        counted = [name for name, rule in self.metrics.items() if rule.field == "trades"]
        if counted and self.names.trades is None:
            raise ValueError(
                f"{', '.join(counted)}: trades are counted, and names.trades does not say where "
                "they are: name that member, or count the volume"
            )
        return self
