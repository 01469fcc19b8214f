"""An experiment's log is read as earlier releases wrote it, and is still written so."""

from typing import Any

import orjson
import pytest

from deployments.optimization.experiments.configured import Configured
from deployments.optimization.experiments.handler import ExperimentHandler
from deployments.optimization.experiments.operations import Operation
from deployments.runtime.state.handler import StateRequest
from models.optimization.bandits.decision_log import Status
from models.optimization.bandits.experiment import Experiment

# In the form of the releases that knew these steps as lists without names; the numbers are made up.
EARLIER = b"""
{"start":[{"family":"linear","features":[{"name":"x","low":0.0,"high":1.0}],"reward_low":0.0,
"reward_high":1.0,"width":1.25,"thompson_width":null,"floor":0.05,"discount":1.0,"prior_weight":1.0,
"deadline_s":null,"missing_reward":null,"capacity":4096,"budget":{"share":0.2,"reserve":1.0,
"pricing":"worst_case","risk":0.05}},["a","b","c"],"a"],
"decide":["d1",1000.0,[1.0,0.5],1,[0.75,0.125,0.125],false,0.25,0.0625]}
{"reward":["d1",0.5,1001.0]}
{"add":["d"],"decide":["d3",1002.0,[1.0,-0.5],0,[0.625,0.125,0.125,0.125],true,0.0,0.125]}
{"arm":["retire","b"]}
{"arm":["baseline","c"]}
{"withdraw":["d3"]}
"""


def replayed(events: int) -> Experiment:
    """Read so many of the log's events."""
    handler = ExperimentHandler(lambda: 2_000.0)
    kept = handler.fresh("e")
    lines = EARLIER.replace(b",\n", b",").split()
    handler.replay([(kept, [orjson.loads(line) for line in lines[:events]])])
    assert kept.experiment is not None
    return kept.experiment


def test_what_an_earlier_release_wrote_is_read_place_by_place() -> None:
    assert replayed(1).balance == 0.0625 - 0.25
    experiment = replayed(6)
    assert experiment.arms == ["a", "b", "c", "d"]
    assert (experiment.baseline, set(experiment.retired)) == ("c", {"b"})
    log = experiment.log
    assert log.ids[:2].tolist() == [b"d1", b"d3"]
    assert log.decided_at[:2].tolist() == [1_000.0, 1_002.0]
    assert log.contexts[:2].tolist() == [[1.0, 0.5], [1.0, -0.5]]
    assert log.arms[:2].tolist() == [1, 0]
    assert log.probabilities[0].tolist() == [0.75, 0.125, 0.125, 0.0]
    assert log.on_baseline[:2].tolist() == [False, True]
    assert log.rewards[0] == 0.5
    assert log.status[:2].tolist() == [Status.SETTLED, Status.WITHDRAWN]


def test_it_is_written_with_the_same_places() -> None:
    now = 1_000.0
    handler = ExperimentHandler(lambda: now)
    kept = handler.fresh("e")

    def event(row: str, ask: Operation) -> Any:
        (reply,) = handler.answer([(kept, StateRequest("e", row, ask, settings=Configured()))])
        return orjson.loads(orjson.dumps(reply.event))

    first = event(
        "d1", {"op": "decide", "context": {"x": 0.5}, "policy": "ucb", "arms": ["a", "b"]}
    )
    design, *begun = first["start"]
    assert isinstance(design, dict)
    assert begun == [["a", "b"], "a"]
    row, at, context, arm, probabilities, on_baseline, price, credit = first["decide"]
    assert (row, at) == ("d1", now)
    assert context == pytest.approx([1.0, 0.0])
    assert arm in (0, 1)
    assert sum(probabilities) == pytest.approx(1.0)
    assert on_baseline is (arm == 0)
    assert isinstance(price, float)
    assert isinstance(credit, float)
    assert event("r", {"op": "reward", "decision": "d1", "reward": 0.5}) == {
        "reward": ["d1", 0.5, now]
    }
    assert event("a", {"op": "arm", "what": "retire", "arm": "b"}) == {"arm": ["retire", "b"]}
    assert event("x", {"op": "delete"}) == {"delete": True}
