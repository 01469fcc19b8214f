"""A read of many messages gives what one post after the other would leave to be read."""

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.sources.bounds import BOUNDS
from features.sources.kafka.batch import Message
from features.sources.kafka.messages import gathered

NOW = 1_772_461_800.0
BEGIN = int(NOW) // 60 * 60 - 600
VALUE = st.one_of(st.none(), st.floats(0, 0.9), st.just(7.0), st.just("much"))
ROW = st.fixed_dictionaries(
    {
        "entity": st.sampled_from(["billing", "search"]),
        "ts": st.sampled_from([BEGIN, BEGIN + 61]),
        "error_rate": VALUE,
        "cpu": VALUE,
        "deploy": st.booleans(),
    }
)


def message(offset: int, body: object) -> Message:
    return Message(0, offset, json.dumps(body).encode())


def read(*messages: Message, csv: bool = False) -> dict[tuple[str, int], dict[str, float]]:
    rows = gathered(messages, csv=csv, now=NOW, cadence_seconds=60).telemetry
    return {
        (str(rows.entity[at]), int(rows.ts[at])): {
            name: float(rows.columns()[name][at]) for name in (*BOUNDS, "deploy")
        }
        for at in range(len(rows))
    }


@given(st.lists(st.lists(ROW, min_size=1, max_size=4), max_size=5))
def test_the_latest_message_counts_column_by_column(bodies: list[list[dict[str, object]]]) -> None:
    messages = [message(at, body) for at, body in enumerate(bodies)]
    expected: dict[tuple[str, int], dict[str, float]] = {}
    for each in messages:
        for place, values in read(each).items():
            before = expected.setdefault(place, dict.fromkeys(values, math.nan) | {"deploy": 0.0})
            for name, value in values.items():
                if name == "deploy":
                    before[name] = max(before[name], value)
                elif not math.isnan(value):
                    before[name] = value
    np.testing.assert_equal(read(*messages), expected)


def test_complaints_name_the_message() -> None:
    messages = (
        message(6, [{"entity": "billing", "ts": BEGIN, "cpu": 0.5}]),
        message(7, {"entity": "billing", "ts": "soon"}),
        message(8, {"entity": "billing", "ts": BEGIN, "colour": 1}),
        Message(3, 9, b"x" * (8 * 1024 * 1024 + 1)),
    )
    found = gathered(messages, csv=False, now=NOW, cadence_seconds=60)
    assert len(found.telemetry) == 1
    (schema,) = found.complaints
    assert (schema.fault, schema.count) == ("schema", 3)
    assert schema.example.startswith("partition 3, offset 9: body: it is over 8388608 bytes")


def test_csv_is_read_where_the_topic_has_it() -> None:
    text = f"entity,ts,cpu\nbilling,{BEGIN},0.5\n".encode()
    assert read(Message(0, 1, text), csv=True)["billing", BEGIN]["cpu"] == 0.5
    assert read(Message(0, 1, text)) == {}
