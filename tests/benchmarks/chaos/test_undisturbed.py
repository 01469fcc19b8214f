from typing import Any
from zlib import crc32

import numpy as np
import pytest

from benchmarks.chaos.undisturbed import Feed, differing
from models.anomaly.streams import AnomalyStreams, RegimeStreams

N = 200


def regime_feed() -> Feed:
    """Feed a stream one observation at a time, as a client does."""
    feed, streams = Feed("regime", "s"), RegimeStreams()
    slot = np.array([streams.open(crc32(b"s"))])
    for value in np.random.default_rng(3).normal(20, 1, N).tolist():
        found = streams.advance(slot, np.array([[value]]), 0.0)
        data: dict[str, Any] = {
            name: float(getattr(found, name)[0])
            for name in ("change_probability", "run_length", "p_value")
        }
        level = {name: float(getattr(found, name)[0, 0]) for name in ("mean", "sd")}
        feed.take(value, data | {"regime": level})
    return feed


def anomaly_feed() -> Feed:
    feed, streams = Feed("anomaly", "s"), AnomalyStreams(3)
    slot = np.array([streams.open(crc32(b"s"))])
    for point in np.random.default_rng(3).normal(size=(N, 3)):
        found = streams.advance(slot, point[None], 0.0)
        said = {"score": float(found.score[0]), "p_value": float(found.p_value[0])}
        feed.take(point.tolist(), {"points": [said]})
    return feed


@pytest.fixture(params=[regime_feed, anomaly_feed])
def feed(request: pytest.FixtureRequest) -> Feed:
    made: Feed = request.param()
    return made


def test_an_undisturbed_stream_differs_nowhere(feed: Feed) -> None:
    assert differing(feed) == []


def test_a_lost_observation_changes_the_answers_after_it(feed: Feed) -> None:
    del feed.sent[50], feed.said[-1]
    assert differing(feed)
    assert min(differing(feed)) >= 50


def test_an_observation_that_was_counted_twice_changes_the_answers_after_it(feed: Feed) -> None:
    feed.sent.insert(50, feed.sent[50])
    feed.said.append(feed.said[-1])
    assert differing(feed)
    assert min(differing(feed)) >= 50


def test_one_bit_is_seen(feed: Feed) -> None:
    feed.said[9] = (float(np.nextafter(feed.said[9][0], 2.0)), *feed.said[9][1:])
    assert differing(feed) == [9]


def test_an_answer_without_its_point_differs() -> None:
    feed = anomaly_feed()
    feed.said.pop()
    feed.take(feed.sent.pop(), {"points": []})
    assert differing(feed) == [N - 1]


def test_the_next_observation_carries_its_number() -> None:
    feed = regime_feed()
    assert feed.body(1.5) == {"stream": "s", "sequence": N, "values": [1.5]}
