"""Whatever an upstream answers, what is made of it are candles that can be true; and the page."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.sources.candles.answers import Candles, Wanted, candles_of, moment, rows_in
from features.sources.candles.api import fields_of
from features.sources.candles.proposal import proposed
from features.sources.candles.rules import CandleMapping, CandleNames, Question
from tests.candle_server import Candle, candle

MINUTE, COUNT = 60, 12
START = 1_700_000_040
STOP = START + COUNT * MINUTE
NOW = STOP + 7.0
WANTED = Wanted("A", MINUTE, START, STOP)
NAMES = CandleNames(trades="trades")
PAGE = Path(__file__).parents[4] / "docs/sources/candles.md"

CELL = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["", "dear", "7.5", "NaN", "1e400", [], {}]),
)
MOMENT = st.one_of(CELL, st.integers(-2, COUNT + 20).map(lambda at: START + MINUTE * at))
WRONG = st.fixed_dictionaries(
    {"ts": MOMENT},
    optional=dict.fromkeys(("open", "high", "low", "close", "volume", "trades"), CELL),
)
RIGHT = st.integers(0, COUNT - 1).map(lambda at: candle(START + MINUTE * at))
ROWS: st.SearchStrategy[list[Any]] = st.lists(
    st.one_of(RIGHT, WRONG, st.sampled_from([None, 7, "candle", []])), max_size=20
)


def read(rows: list[Any]) -> tuple[Candles, dict[str, int]]:
    found, complaints = candles_of(rows, NAMES, WANTED, NOW)
    return found, {each.fault: each.count for each in complaints}


@given(ROWS)
def test_what_is_given_is_within_what_was_asked_and_can_be_true(rows: list[Any]) -> None:
    found, _ = read(rows)
    assert (np.diff(found.ts) > 0).all()
    assert ((found.ts >= START) & (found.ts < STOP) & (found.ts % MINUTE == 0)).all()
    values = found.values
    assert all(np.isfinite(column).all() for column in values.values())
    for name in ("open", "close"):
        assert (values["low"] <= values[name]).all()
        assert (values[name] <= values["high"]).all()
    assert (values["volume"] >= 0).all()


@given(ROWS)
def test_every_right_candle_is_taken_whatever_stands_beside_it(rows: list[Any]) -> None:
    """A second one of the same moment is none; all that is not taken is complained of."""
    found, complaints = read(rows)
    right = {each["ts"] for each in rows if isinstance(each, dict) and is_whole(each)}
    assert right <= set(found.ts.tolist())
    at_the_end = sum(isinstance(each, dict) and each.get("ts") == STOP for each in rows)
    if len(rows) - len(found) > at_the_end:
        assert complaints


def is_whole(row: Candle) -> bool:
    ts = row["ts"]
    is_one_of_ours = type(ts) is int and START <= ts < STOP and ts % MINUTE == 0
    return is_one_of_ours and row == candle(ts)


@given(st.permutations([candle(START + MINUTE * at) for at in range(COUNT)]))
def test_the_order_of_an_answer_does_not_count(rows: list[Candle]) -> None:
    found, complaints = read(rows)
    assert found.ts.tolist() == [START + MINUTE * at for at in range(COUNT)]
    assert complaints == {}


def test_of_two_candles_of_a_moment_the_first_counts() -> None:
    rows = [candle(START, traded=10.0), candle(START, traded=20.0), candle(START, traded=10.0)]
    found, complaints = read(rows)
    assert found.values["volume"].tolist() == [10.0]
    assert complaints == {"duplicate": 2}


@pytest.mark.parametrize(
    ("value", "unit", "seconds"),
    [
        (START, "s", START),
        (str(START), "s", START),
        (START * 1000, "ms", START),
        ("2023-11-14T22:14:00Z", "iso", START),
        ("2023-11-14T23:14:00+01:00", "iso", START),
    ],
)
def test_a_moment_is_read_by_its_unit(value: object, unit: Any, seconds: float) -> None:
    assert moment(value, unit) == seconds


@pytest.mark.parametrize(
    ("value", "unit"),
    [("2023-11-14T22:14:00", "iso"), (START, "iso"), ("soon", "s"), (None, "s"), (True, "ms")],
)
def test_what_is_no_moment_of_its_unit_is_none(value: object, unit: Any) -> None:
    assert np.isnan(moment(value, unit))


def test_the_page_shows_what_is_asked_answered_and_proposed() -> None:
    page = PAGE.read_text()
    (asked,) = re.findall(r"^GET (/candles\?\S+)$", page, re.MULTILINE)
    shown = dict(parse_qsl(urlsplit(asked).query))
    wanted = Wanted(shown["symbol"], MINUTE, int(shown["from"]), int(shown["to"]))
    assert dict(fields_of(wanted, Question())) == shown
    answer, mapping = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    rows = rows_in(answer.encode(), NAMES)
    found, complaints = candles_of(rows, NAMES, wanted, wanted.stop + 1.0)
    assert (len(found), complaints) == (1, ())
    assert CandleMapping.model_validate(json.loads(mapping)) == proposed(Question(), NAMES)
