"""The names that upstreams give the parts of a candle, the likeliest first."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import from_json

from features.errors import NothingUsableError
from features.sources.candles.rules import CandleNames, FieldName, Question, TimeUnit

_NAMES: Final[Mapping[str, Sequence[FieldName]]] = {
    "time": ("ts", "time", "timestamp", "t", "open_time", "openTime", "datetime", "date", "start"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "v", "vol", "base_volume"),
    "trades": ("trades", "n", "trade_count", "count", "num_trades", "number_of_trades"),
}
_ROWS: Final = ("candles", "data", "bars", "results", "result", "klines", "rows")
_SYMBOLS: Final = ("symbols", "data", "results", "instruments")
_SYMBOL: Final = ("symbol", "id", "name", "ticker")
# How the parameters are called, the likeliest first.
QUESTIONS: Final = (
    Question(),
    Question(start="start", stop="end"),
    Question(timeframe="interval", start="startTime", stop="endTime", time_unit="ms"),
)
# Seconds since 1970 are below for 3,000 years.
_MOST_SECONDS: Final = 1e11
_SHOWN: Final = 12


def names_in(body: bytes) -> CandleNames | None:
    """Tell how an answer is written; None where it holds no candle to tell it by."""
    content = _parsed(body)
    member = _member(content, _ROWS)
    rows = content if member is None else content[member]
    if not isinstance(rows, list):
        raise NothingUsableError(f"its answer holds no list of candles, but {_members(content)}")
    if not rows:
        return None
    first = rows[0]
    if not isinstance(first, dict):
        raise NothingUsableError("a candle is no object with named members there")
    found = {part: _first_of(names, first) for part, names in _NAMES.items()}
    if lacking := [part for part, name in found.items() if name is None and part != "trades"]:
        raise NothingUsableError(
            f"a candle there has {_members(first)}, and none of these is known to be "
            f"{', '.join(lacking)}: give a mapping of your own with --mapping"
        )
    unit = _unit_of(first[str(found["time"])])
    return CandleNames.model_validate({"rows": member, "time_unit": unit, **found})


def symbols_in(body: bytes) -> tuple[str, ...]:
    """Give the symbols that an upstream lists; none where it lists them in no way that is known."""
    content = _parsed(body)
    member = _member(content, _SYMBOLS)
    listed = content if member is None else content[member]
    if not isinstance(listed, list):
        return ()
    return tuple(name for each in listed if isinstance(name := _symbol(each), str) and name)


def _symbol(each: object) -> object:
    if isinstance(each, dict):
        return each.get(_first_of(_SYMBOL, each) or "")
    return each


def _unit_of(value: object) -> TimeUnit:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return "iso"
    return "ms" if isinstance(value, int | float) and value > _MOST_SECONDS else "s"


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=True)
    except ValueError:
        raise NothingUsableError(
            "its answer is no JSON: give the url under which /candles is"
        ) from None


def _member(content: object, names: Sequence[str]) -> str | None:
    return _first_of(names, content) if isinstance(content, dict) else None


def _first_of(names: Sequence[str], content: Mapping[str, Any]) -> str | None:
    return next((name for name in names if name in content), None)


def _members(content: object) -> str:
    if not isinstance(content, dict):
        return f"a {type(content).__name__}"
    return ", ".join(map(repr, list(content)[:_SHOWN])) or "nothing"
