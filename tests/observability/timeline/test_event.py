import math
import re
from string import Formatter

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.timeline.event import MOST_CHARACTERS, Event, read_event
from observability.timeline.kinds import KINDS, SENTENCES, Kind
from observability.timeline.stream import MOST
from tests.surface.source import REPOSITORY

DETAILS = st.dictionaries(
    st.text(max_size=5),
    st.text(max_size=20) | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
    max_size=4,
)


def example(kind: Kind, time: float = 1_772_461_800.0) -> Event:
    """Make one that states all that its sentence names."""
    names = {name for _, name, _, _ in Formatter().parse(SENTENCES[kind]) if name}
    return Event(kind, time, "orders", "prod", dict.fromkeys(names - {"entity", "source"}, "7"))


def test_every_kind_has_a_sentence() -> None:
    assert SENTENCES.keys() == set(KINDS)
    for kind in KINDS:
        assert "{" not in example(kind).summary


def test_the_sentence_names_what_the_event_states() -> None:
    event = Event("source_away", 0, source="prod", details={"reason": "connection refused"})
    assert event.summary == "The source prod does not answer: connection refused"


@pytest.mark.parametrize("kind", ["source_away", "deploy", "config_activated"])
def test_an_event_that_lacks_what_its_sentence_names_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match=f"of the kind {kind} states its"):
        Event(kind, 0)


@pytest.mark.parametrize("time", [-1, math.nan, math.inf, 1e13])
def test_a_time_that_is_no_epoch_seconds_is_refused(time: float) -> None:
    with pytest.raises(ValueError, match="give epoch seconds"):
        Event("deploy", time, "orders")


@given(time=st.integers(0, 4_000_000_000_000), details=DETAILS)
def test_what_is_written_is_read_as_the_same_event(
    time: int, details: dict[str, str | int | bool | None]
) -> None:
    event = Event("deploy", time / 1000, "orders", "prod", details)
    again = read_event(event.to_json())
    assert (again.id, again.time_ms, again.summary) == (event.id, event.time_ms, event.summary)
    assert again == event


def test_the_order_of_details_is_no_content() -> None:
    one, other = (
        Event("deploy", 1, "orders", details=dict(pairs))
        for pairs in ([("a", 1), ("b", 2)], [("b", 2), ("a", 1)])
    )
    assert one.id == other.id


def test_what_differs_in_any_part_is_another_event() -> None:
    same = Event("deploy", 1, "orders", "prod", {"a": 1})
    others = [
        Event("restart", 1, "orders", "prod", {"a": 1}),
        Event("deploy", 1.001, "orders", "prod", {"a": 1}),
        Event("deploy", 1, "order", "sprod", {"a": 1}),
        Event("deploy", 1, "orders", "", {"a": 1}),
        Event("deploy", 1, "orders", "prod", {"a": 2}),
        Event("deploy", 1, "orders", "prod"),
    ]
    assert len({each.id for each in [same, *others]}) == 1 + len(others)


def test_a_reason_of_a_page_is_cut() -> None:
    event = Event("source_away", 0, source="prod", details={"reason": "é" * 5000})
    assert event.details["reason"] == "é" * MOST_CHARACTERS


def test_a_kind_of_a_later_release_is_told_by_its_name() -> None:
    data = orjson.loads(Event("deploy", 1, "orders").to_json()) | {"kind": "node_lost"}
    assert read_event(orjson.dumps(data)).summary == "node lost"


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": 7},
        {"kind": "Deploy {0}"},
        {"time_ms": "now"},
        {"time_ms": 1e17},
        {"entity": None},
        {"details": {"a": []}},
        {"details": 3},
    ],
)
def test_what_is_no_event_is_refused(changed: dict[str, object]) -> None:
    data = orjson.loads(Event("deploy", 1, "orders").to_json()) | changed
    with pytest.raises(ValueError, match="event"):
        read_event(orjson.dumps(data))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff"])
def test_bytes_that_are_no_event_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_event(data)


def test_the_page_about_the_timeline_lists_the_kinds_and_their_sentences() -> None:
    page = (REPOSITORY / "docs/timeline.md").read_text()
    assert dict(re.findall(r"^\| `([a-z_]+)` \| ([A-Z{].*) \|$", page, re.MULTILINE)) == SENTENCES
    assert f"{MOST:,}" in page
