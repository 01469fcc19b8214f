import struct
from dataclasses import asdict
from typing import Any

import orjson
import pytest

from deployments.anomaly.record import Observed, Record, pack, unpack


def test_what_was_packed_is_unpacked() -> None:
    record = Record(observations=3, dimensions=6, detector="fleet", members=2, weights=[1.0] * 3)
    assert unpack(pack(record, b"detector")) == (record, b"detector")


def test_what_was_kept_before_there_were_fleets_is_still_read() -> None:
    kept = asdict(Record(observations=3, dimensions=2, detector="both"))
    del kept["members"], kept["weights"]
    head = orjson.dumps(kept)
    record, detector = unpack(struct.pack("<I", len(head)) + head + b"detector")
    assert record == Record(observations=3, dimensions=2, detector="both")
    assert detector == b"detector"


def test_what_a_later_release_kept_beside_is_passed_over() -> None:
    head = orjson.dumps(asdict(Record(observations=3)) | {"colour": "red"})
    assert unpack(struct.pack("<I", len(head)) + head) == (Record(observations=3), b"")


@pytest.mark.parametrize("choice", [None, 50.0, "both", {"detector": "fleet", "members": 2}])
def test_an_event_is_read_as_it_was_written(choice: Any) -> None:
    seen = Observed([[1.0]], [2.0], 3, 2.0, 0, 0, 0, 0.1, 2.0, choice, "id")
    assert Observed.of(orjson.loads(orjson.dumps(seen.event()))) == seen


def test_an_event_of_a_release_that_kept_neither_choice_nor_decision_is_read() -> None:
    event = [[1.5, 2.5], [10.0, 11.0], 5, 11.0, 1, 2, 3, 0.1, 12.0]
    seen: Observed[float, float] = Observed.of(event)
    assert (seen.values, seen.times, seen.sequence, seen.ts) == (event[0], event[1], 5, 11.0)
    assert (seen.duplicates, seen.late, seen.missing) == (1, 2, 3)
    assert (seen.share, seen.now, seen.choice, seen.id) == (0.1, 12.0, None, "")
    assert seen.event() == [*event, None, ""]
