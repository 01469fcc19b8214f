"""A study's log is read as earlier releases wrote it, and is still written so."""

from typing import Any

import orjson

from deployments.optimization.studies.handler import StudyHandler
from deployments.optimization.studies.operations import Operation
from deployments.optimization.studies.suggestion_queue import SuggestionQueue
from deployments.runtime.helper.process import HelperProcess
from deployments.runtime.state.handler import StateRequest

# In the form of the releases that knew these steps as lists without names; the numbers are made up.
EARLIER = b"""
{"start":{"space":{"x":{"type":"float","low":0.0,"high":1.0,"log":false}},"goals":["minimise"],
"constraints":["c"],"seed":0,"starts":5,"tolerance":0.001,"candidates":[],"sought":1},
"history":[[{"x":0.25},[0.2],[-1.0],false],[{"x":0.75},[],[],true]],"ask":["d1",{"x":0.5},null]}
{"tell":[2,[0.5],[-0.5],false]}
{"ask":["d3",{"x":0.125},0.0625]}
"""


def handler() -> StudyHandler:
    return StudyHandler(SuggestionQueue(HelperProcess()))


def test_what_an_earlier_release_wrote_is_read_place_by_place() -> None:
    reader = handler()
    kept = reader.fresh("s")
    lines = EARLIER.replace(b",\n", b",").split()
    reader.replay([(kept, [orjson.loads(line) for line in lines])])
    running = kept.running
    assert running is not None
    trials = running.study.trials
    assert [each.parameters["x"] for each in trials] == [0.25, 0.75, 0.5, 0.125]
    assert [each.values for each in trials] == [(0.2,), (), (0.5,), ()]
    assert [each.constraints for each in trials] == [(-1.0,), (), (-0.5,), ()]
    assert [each.state for each in trials] == ["told", "failed", "told", "pending"]
    assert trials[3].gain == 0.0625
    assert dict(running.asked) == {"d1": 2, "d3": 3}
    assert running.elsewhere == 2


def test_it_is_written_with_the_same_places() -> None:
    writer = handler()
    kept = writer.fresh("s")

    def event(row: str, ask: Operation) -> Any:
        (reply,) = writer.answer([(kept, StateRequest("s", row, ask))])
        return orjson.loads(orjson.dumps(reply.event))

    space = {"x": {"type": "float", "low": 0.0, "high": 1.0, "log": False}}
    first = event(
        "d1",
        {
            "op": "ask",
            "design": {"space": space, "constraints": ["c"]},
            "history": [
                {
                    "parameters": {"x": 0.25},
                    "values": [0.2],
                    "constraints": {"c": -1.0},
                    "failed": False,
                }
            ],
        },
    )
    assert first["start"]["space"] == space
    assert first["history"] == [[{"x": 0.25}, [0.2], [-1.0], False]]
    assert (first["ask"][0], list(first["ask"][1]), first["ask"][2]) == ("d1", ["x"], None)
    told = event(
        "d2",
        {"op": "tell", "trial": 1, "values": [0.5], "constraints": {"c": -0.5}, "failed": False},
    )
    assert told == {"tell": [1, [0.5], [-0.5], False]}
    assert event("d3", {"op": "delete"}) == {"delete": True}
