import csv
import io
import json
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.endpoint import ENTITY_PATTERN as ASKED_FOR
from features.errors import PostRefusedError
from features.sources.checks import checked
from features.sources.posted import Posted, steps
from features.sources.posted_cells import ENTITY_PATTERN, METRICS, MOST_ROWS
from features.sources.posted_json import SLICE_CELLS, SLICE_ROWS
from features.telemetry.columns import Telemetry

NOON = 1_773_144_000  # 2026-03-10 12:00 UTC
Row = dict[str, Any]


def read(raw: bytes | str, *, as_csv: bool = False) -> Posted:
    reading = steps(raw if isinstance(raw, bytes) else raw.encode(), csv=as_csv)
    while True:
        try:
            next(reading)
        except StopIteration as done:
            posted: Posted = done.value
            return posted


def refusal(raw: bytes | str, *, as_csv: bool = False) -> PostRefusedError:
    with pytest.raises(PostRefusedError) as refused:
        read(raw, as_csv=as_csv)
    return refused.value


def as_columns(rows: list[Row]) -> str:
    names = dict.fromkeys(name for row in rows for name in row)
    return json.dumps({"columns": {name: [row.get(name) for row in rows] for name in names}})


def as_csv_text(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for row in rows:
        cells = [row.get(name) for name in names]
        writer.writerow([json.dumps(c) if isinstance(c, bool) else c for c in cells])
    return text.getvalue()


def telemetry(posted: Posted) -> Telemetry:
    return checked(posted.rows, now=NOON + 86_400.0, cadence_seconds=60).telemetry


def bits(found: Telemetry) -> dict[str, tuple[list[Any], bytes]]:
    """Give every column to the bit; text by its letters, for its type says how long it may be."""
    return {
        name: (values.tolist(), b"") if values.dtype.kind == "U" else ([], values.tobytes())
        for name, values in found.columns().items()
    }


numbers = st.one_of(
    st.none(),
    st.floats(0, 1, allow_subnormal=True),
    st.integers(0, 1),
    st.just(math.nan),
)
rows_of = st.lists(
    st.fixed_dictionaries(
        {
            "entity": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,9}", fullmatch=True),
            "ts": st.one_of(
                st.integers(NOON - 9000, NOON),
                st.floats(NOON - 9000, NOON),
                st.integers(NOON - 9000, NOON).map(lambda s: s * 1000),
                st.integers(NOON - 9000, NOON).map(
                    lambda s: datetime.fromtimestamp(s, UTC).isoformat()
                ),
            ),
        },
        optional=dict.fromkeys(METRICS, numbers) | {"deploy": st.none() | st.booleans()},
    ),
    min_size=1,
    max_size=30,
)


@given(rows_of)
def test_rows_columns_and_csv_of_the_same_give_the_same_to_the_bit(rows: list[Row]) -> None:
    first = read(json.dumps(rows))
    assert first.complaints == ()
    expected = bits(telemetry(first))
    for again in (
        read(json.dumps({"rows": rows}, indent=2)),
        read(as_columns(rows)),
        read(as_csv_text(rows), as_csv=True),
        read(as_csv_text(rows).replace("\r\n", "\n") + "\n", as_csv=True),
    ):
        assert bits(telemetry(again)) == expected


@given(st.binary(max_size=200) | rows_of.map(lambda rows: json.dumps(rows).encode()[3:-2]))
def test_whatever_is_sent_is_read_or_refused(raw: bytes) -> None:
    for as_csv in (False, True):
        with suppress(PostRefusedError):
            read(raw, as_csv=as_csv)


@pytest.mark.parametrize("count", [1, SLICE_ROWS, SLICE_ROWS + 1, SLICE_CELLS + 1])
def test_a_body_of_many_slices_loses_nothing_at_their_ends(count: int) -> None:
    rows = [{"entity": f"e{at}", "ts": NOON, "load": at / 7, "cpu": 0.5} for at in range(count)]
    for posted in (
        read(json.dumps(rows)),
        read(as_columns(rows)),
        read(as_csv_text(rows), as_csv=True),
    ):
        assert posted.received == count
        assert posted.rows.entity == [f"e{at}" for at in range(count)]
        assert posted.rows.metrics["load"] == [at / 7 for at in range(count)]


def test_times_are_seconds_milliseconds_or_iso_with_a_zone() -> None:
    given = [NOON, NOON * 1000, NOON + 0.5, "2026-03-10T12:00:00Z", "2026-03-10T13:00:00+01:00"]
    posted = read(as_columns([{"entity": "a", "ts": ts, "load": 1} for ts in given]))
    assert posted.rows.ts == [NOON, NOON, NOON + 0.5, NOON, NOON]


def test_rows_that_are_wrong_are_left_out_and_the_first_are_named() -> None:
    right = {"entity": "a", "ts": NOON, "load": 0.5}
    wrong = [
        {"entity": "a", "ts": "2026-03-10T12:00:00", "load": 0.5},
        {"ts": NOON, "load": 0.5},
        {"entity": "a", "ts": NOON, "load": "high"},
        {"entity": "a", "ts": NOON, "deploy": 3},
    ]
    posted = read(json.dumps([right, *wrong, right]))
    assert posted.rows.entity == ["a", "a"]
    (complaint,) = posted.complaints
    assert (complaint.fault, complaint.count) == ("schema", 4)
    first, second, third = complaint.example.split("; row")
    assert first.startswith("row 2: ts '2026-03-10T12:00:00' is no time")
    assert second.startswith(" 3: entity (none) is not a name")
    assert third.startswith(" 4: load 'high' is no number")


@pytest.mark.parametrize("wrong", [True, [1], 10**400, "x", ""])
def test_a_metric_that_is_no_number_is_never_taken(wrong: Any) -> None:
    body = json.dumps([{"entity": "a", "ts": NOON, "load": wrong, "cpu": 0.5}])
    try:
        found = telemetry(read(body))
    except PostRefusedError:
        return
    assert np.isnan(found.load).all()


def test_an_unknown_column_is_refused_with_those_that_are_known() -> None:
    row = {"entity": "a", "ts": NOON, "latency": 3}
    for refused in (
        refusal(json.dumps([row])),
        refusal(as_columns([row])),
        refusal(as_csv_text([row]), as_csv=True),
    ):
        assert refused.field == "latency"
        assert "p99_ms" in refused.reason


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        ("", "body", "none of"),
        ("[]", "rows", "no rows"),
        ('{"rows": []}', "rows", "no rows"),
        ("[1]", "body", "behind row 0"),
        ('[{"entity": "a", "ts": 1},]', "body", "behind row 1"),
        ('[{"entity": "a", "ts": 1}] x', "body", "behind row 1"),
        ('[{"entity": "a", "ts": 1}, {"entity"}]', "body", "row 2 is no JSON"),
        ('{"rows": [{"entity": {"name": "a"}}]}', "body", "plain values"),
        ('{"source": "x", "rows": []}', "body", "none of"),
        ('{"columns": {"entity": ["a"]}}', "ts", "missing"),
        ('{"columns": {"entity": ["a"], "ts": [1, 2]}}', "entity", "1 values, but 'ts' has 2"),
        ('{"columns": {"entity": ["a"], "entity": ["a"]}}', "entity", "twice"),
        ('{"columns": {"entity": ["a",]}}', "entity", "no plain value"),
        ('{"columns": {"entity": ["a" "b"]}}', "entity", "no plain value"),
        ('{"columns": {"entity": [nothing]}}', "entity", "no JSON"),
        ('{"columns": {"entity": "a"}}', "columns", "no column"),
    ],
)
def test_json_that_cannot_be_read_is_refused_in_words(raw: str, field: str, reason: str) -> None:
    refused = refusal(raw)
    assert refused.field == field
    assert reason in refused.reason


@pytest.mark.parametrize(
    ("raw", "field", "reason"),
    [
        (b"", "entity", "missing"),
        (b"entity,ts\n", "rows", "no rows"),
        (b"entity,load\na,1\n", "ts", "missing"),
        (b"entity,ts,ts\n", "ts", "twice"),
        (b"entity,ts\na,1\nb,2,3\n", "body", "row 2 has 3 values"),
        (b'entity,ts\n"a,1\n', "body", "no CSV"),
        (b"entity,ts\n\xff,1\n", "body", "not UTF-8"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_in_words(raw: bytes, field: str, reason: str) -> None:
    refused = refusal(raw, as_csv=True)
    assert refused.field == field
    assert reason in refused.reason


def test_a_body_has_a_most_of_rows() -> None:
    rows = b",".join([b"{}"] * (MOST_ROWS + 1))
    cells = b",".join([b"0"] * (MOST_ROWS + 1))
    assert str(MOST_ROWS) in refusal(b"[" + rows + b"]").reason
    assert str(MOST_ROWS) in refusal(b'{"columns": {"ts": [' + cells + b"]}}").reason
    lines = b"a,1\n" * (MOST_ROWS + 1)
    assert str(MOST_ROWS) in refusal(b"entity,ts\n" + lines, as_csv=True).reason


def test_an_entity_that_no_request_can_name_is_not_taken() -> None:
    assert ENTITY_PATTERN == ASKED_FOR
    posted = read(json.dumps([{"entity": "two words", "ts": NOON, "load": 0.5}]))
    assert posted.rows.entity == []
    assert "'two words' is not a name" in posted.complaints[0].example


@pytest.mark.parametrize("cell", ["1" * 20_000 + "x", "1" * 20_000 + ".", "." + "1" * 20_000 + "e"])
def test_a_long_cell_of_digits_holds_nobody_up(cell: str) -> None:
    begun = time.thread_time()
    read(f"entity,ts,cpu\na,{NOON},{cell}\n", as_csv=True)
    assert time.thread_time() - begun < 0.5


def test_a_cell_of_more_digits_than_any_number_is_written_with_is_none() -> None:
    rows = "".join(f"a,{NOON + 60 * at},0.{'1' * size}\n" for at, size in enumerate((62, 63)))
    posted = read("entity,ts,cpu\n" + rows, as_csv=True)
    found = checked(posted.rows, now=NOON + 86_400.0, cadence_seconds=60)
    assert found.telemetry.ts.tolist() == [NOON]
    assert [each.count for each in posted.complaints] == [1]
