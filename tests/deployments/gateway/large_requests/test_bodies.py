import asyncio
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.endpoint import Bulk, InferenceEndpoint
from deployments.api.errors import InvalidError
from deployments.api.extremes import EXTREMES
from deployments.api.regime_detection import REGIME
from deployments.api.studies import STUDY
from deployments.api.tail import TAIL
from deployments.gateway.bodies.reader import MOST_ROWS, BodyReader
from deployments.gateway.large_requests.bodies import OVER_BYTES, OddBodyError, slices
from deployments.gateway.large_requests.turns import Turns
from models.optimization.bayes.study import MOST_TRIALS

READER = BodyReader(TAIL)
ROW = b'{"entity":"order-gateway","load":0.5}'
FILLER = b" " * OVER_BYTES  # makes any body a large one


def outcome(read: Any) -> Any:
    try:
        return read()
    except InvalidError as refusal:
        return refusal.message, refusal.fields


def check_both_ways_agree(raw: bytes, reader: BodyReader = READER) -> Any:
    """Read a body at once and in turns; give what both made of it."""
    at_once = outcome(lambda: reader.read(raw))
    in_turns = outcome(lambda: asyncio.run(reader.read_in_turns(raw, Turns())))
    if isinstance(at_once[0], str):
        assert in_turns == at_once
    else:
        assert (list(in_turns[0]), in_turns[1]) == (list(at_once[0]), at_once[1])
    return at_once


Rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "load": st.one_of(st.floats(0, 2), st.integers(-1, 2), st.text(max_size=4), st.none()),
            "entity": st.text(alphabet='ab"\\[]{},\u00e9', max_size=6),
            "values": st.lists(st.integers(-9, 9), max_size=3),
        },
    ),
    max_size=8,
)


@given(Rows, st.sampled_from([FILLER, b"\n\t" + FILLER]))
def test_a_body_read_in_turns_is_taken_or_refused_as_if_it_were_read_at_once(
    rows: list[dict[str, Any]], space: bytes
) -> None:
    inner = (space + b"," + space).join(orjson.dumps(row) for row in rows)
    check_both_ways_agree(b'{"rows":[' + inner + b"]}" + space)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"rows":[%s,]}' % ROW,
        b'{"rows":[,%s]}' % ROW,
        b'{"rows":[1,%s]}' % ROW,
        b'{"rows":[%s %s]}' % (ROW, ROW),
        b'{"rows":[%s],"rows":[]}' % ROW,
        b'{"rows":[%s],"more":1}' % ROW,
        b'{"rows":[%s]' % ROW,
        b'{"rows":[%s]}]' % ROW,
        b'{"rows":[%s 7]}' % ROW,
        b'{"rows":[%s}]}' % ROW,
        b'{"rows":[{"load":NaN}]}',
        b'{"rows":[{"load":0.5,"entity":"a\\"]"}]}',
        b'{"rows":[{"load":0.5,"entity":"unclosed}]}',
        b'{"rows":[{"load":0.5,"entity":"unclosed\\"}]}',
        b'{"rows":[{"load":0.5,"entity":"a line\\\nmore"}]}',
        b'{"rows":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"rows":[]}',
        b'{"load":0.5}',
        b'[{"rows":1}]',
        b"",
    ],
)
def test_an_odd_body_is_refused_in_the_same_words(raw: bytes) -> None:
    check_both_ways_agree(raw + FILLER)
    check_both_ways_agree(FILLER + raw)


def test_a_string_without_an_end_is_found_in_one_pass() -> None:
    raw = b'{"rows":[{"entity":"' + b'\\"' * 500_000
    started = time.process_time()
    with pytest.raises(OddBodyError):
        list(slices(raw))
    # A search from each of its quotes would take an hour.
    assert time.process_time() - started < 5


def test_every_culprit_has_the_number_of_its_row() -> None:
    rows = [b'{"load":%d}' % (-1 if at % 400 == 399 else 1) for at in range(MOST_ROWS)]
    raw = b'{"rows":[' + (b"," + b" " * 20).join(rows) + b"]}"
    message, fields = check_both_ways_agree(raw)
    assert message == "The body does not fit the contract"
    assert list(fields) == ["rows.399.load", "rows.799.load"]


@pytest.mark.parametrize("count", [MOST_ROWS + 1, 20 * MOST_ROWS])
@pytest.mark.parametrize("row", [ROW, b'{"load":-1}'])
def test_more_rows_than_are_taken_are_refused_either_way(count: int, row: bytes) -> None:
    raw = b'{"rows":[' + b",".join([row] * count) + b"]}"
    in_turns = outcome(lambda: asyncio.run(READER.read_in_turns(raw, Turns())))
    for message, fields in (outcome(lambda: READER.read(raw)), in_turns):
        assert message == "The body does not fit the contract"
        assert list(fields) == ["rows"]
        assert fields["rows"].startswith(f"List should have at most {MOST_ROWS} items")


@pytest.mark.parametrize("row", [ROW, b"{}"])
async def test_of_far_too_many_rows_no_more_is_looked_at_than_is_taken(
    monkeypatch: pytest.MonkeyPatch, row: bytes
) -> None:
    """A body of 4 MB holds a million rows: to parse it takes the loop half a second."""
    seen = 0

    def noted(raw: bytes, bulk: Bulk) -> Iterator[tuple[bytes, int]]:
        nonlocal seen
        for part, count in slices(raw, bulk):
            seen += count
            yield part, count

    def read_whole(_: bytes) -> None:
        raise AssertionError("it was parsed in one piece")

    monkeypatch.setattr("deployments.gateway.bodies.reader.slices", noted)
    reader = BodyReader(TAIL)
    monkeypatch.setattr(reader, "read", read_whole)
    raw = b'{"rows":[' + b",".join([row] * 50 * MOST_ROWS) + b"]}"
    with pytest.raises(InvalidError):
        await reader.read_in_turns(raw, Turns())
    assert MOST_ROWS < seen < 3 * MOST_ROWS


def test_a_large_body_is_cut_into_small_ones() -> None:
    row = orjson.dumps({"values": [0.125 * at for at in range(120)]})
    raw = b'{"rows":[' + b",".join([row] * MOST_ROWS) + b"]}"
    cut = list(slices(raw))
    assert sum(count for _, count in cut) == MOST_ROWS
    assert len(cut) > 30
    assert max(len(part) for part, _ in cut) < OVER_BYTES
    check_both_ways_agree(raw, BodyReader(EXTREMES))


async def test_others_have_the_loop_while_a_large_body_is_read() -> None:
    raw = b'{"rows":[' + b",".join([ROW] * MOST_ROWS) + b"]}"
    turns = Turns()
    reading = asyncio.create_task(READER.read_in_turns(raw, turns))
    others = 0
    while not reading.done():
        await asyncio.sleep(0)
        others += 1
    assert others >= len(raw) // (2 * OVER_BYTES)


CROWD = 200_000


@pytest.mark.parametrize("family", [TAIL, REGIME, STUDY], ids=lambda family: family.name)
@pytest.mark.parametrize(
    "raw",
    [
        b'{"rows":[{"odd":[' + b"[]," * CROWD + b"[]]}]}",
        b'{"rows":[{"odd":[' + b"{}," * CROWD + b'{}]}],"more":1}',
        b'{"odd":[' + b"[]," * CROWD + b"[]]}",
        b'{"odd":[' + b'"",' * 4 * CROWD + b'""]}',
        b'{"rows":[{"odd":{' + b'"":1,' * 4 * CROWD + b'"":1}}]}',
    ],
    ids=["lists in a row", "objects in a row", "lists", "strings", "names in a row"],
)
async def test_what_would_hold_the_loop_for_seconds_is_refused_unread(
    monkeypatch: pytest.MonkeyPatch, family: InferenceEndpoint, raw: bytes
) -> None:
    reader = BodyReader(family)

    def read_whole(_: bytes) -> None:
        raise AssertionError("it was parsed in one piece")

    monkeypatch.setattr(reader, "read", read_whole)
    with pytest.raises(InvalidError) as refusal:
        await reader.read_in_turns(raw, Turns())
    assert refusal.value.fields is not None
    assert "cannot be read row by row" in refusal.value.fields["body"]


def test_no_row_is_tokenized_beyond_what_it_may_hold() -> None:
    few = Bulk(lists=10, strings=10)
    fits = b'{"rows":[' + b",".join([b'{"odd":[' + b"[]," * 7 + b"[]]}"] * 3) + b"]}"
    assert sum(count for _, count in slices(fits, few)) == 3
    with pytest.raises(OddBodyError):
        list(slices(fits.replace(b"[],", b"[],[],"), few))


@pytest.mark.parametrize("trials", [1_000, MOST_TRIALS])
def test_a_study_may_bring_all_the_past_trials_that_it_may_have(trials: int) -> None:
    names = [f"p{number}" for number in range(40_000 // trials)]
    past = {"parameters": dict.fromkeys(names, 0.5), "value": [1.5, 2.5], "constraints": {"c": 0.0}}
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in names}
    design = {"space": space, "goal": ["minimise", "minimise"], "constraints": ["c"]}
    raw = orjson.dumps({"study": "s", **design, "history": [past] * trials})
    assert len(raw) > OVER_BYTES
    (body,), as_list = check_both_ways_agree(raw, BodyReader(STUDY))
    assert not as_list
    assert len(body.history) == trials


def test_what_is_wrong_with_a_long_list_of_rows_is_named_even_where_it_is_no_json() -> None:
    row = orjson.dumps({name: 0.5 for name in TAIL.body.model_fields if name != "entity"})
    raw = b'{"rows":[' + b",".join([row] * (MOST_ROWS - 1)) + b',{"load":oops}]}'
    _, fields = check_both_ways_agree(raw)
    assert "Invalid JSON" in fields["body"]
