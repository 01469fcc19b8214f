"""Remote writes of a fleet's series, made once and stamped anew for each scrape.

A sender has the labels packed already and only adds a number and a time. So does this: the bytes of
each sample are found once, and numbers and times are written over them, which costs milliseconds
where writing the messages costs minutes.
"""

import struct
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.sources.rules import Mapping, Matcher, Quantile, Rate, Ratio, Selector
from tests.features.sources.remote_write.messages import Given, pack, write_v1

SERIES_OF_A_BODY = 2_000
"""As Prometheus sends them where nobody says otherwise."""
_REQUESTS = Selector(name="http_requests_total")
_LATENCY = Selector(name="http_request_duration_seconds")
MAPPING = Mapping(
    entity="job",
    metrics={
        "request_rate": Rate(of=_REQUESTS),
        "error_rate": Ratio(
            of=Selector(name=_REQUESTS.name, where=(Matcher(label="code", op="=~", value="5.."),)),
            by=_REQUESTS,
        ),
        "p50_ms": Quantile(of=_LATENCY, level=0.5),
        "p99_ms": Quantile(of=_LATENCY, level=0.99),
        "cpu": Rate(of=Selector(name="process_cpu_seconds_total")),
    },
)
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
CODES = ("200", "201", "404", "500", "503")
_INSTANCE = {"namespace": "prod", "cluster": "eu-1"}
# A time of today in milliseconds takes six bytes as Protocol Buffers write it, until 2109.
_TIME_BYTES = 6
_MARK = 1_700_000_000_000


def series_of_a_fleet(count: int, entities: int) -> Iterator[dict[str, str]]:
    """Give the labels of so many series: services of several instances each, all of them needed."""
    of_an_instance = [{"__name__": "process_cpu_seconds_total"}]
    of_an_instance += [{"__name__": "http_requests_total", "code": code} for code in CODES]
    of_an_instance += [
        {"__name__": "http_request_duration_seconds_bucket", "le": bound} for bound in BOUNDS
    ]
    for number in range(count):
        instance, which = divmod(number, len(of_an_instance))
        place = {"job": f"service-{instance % entities}", "instance": f"10.0.0.{instance}:8080"}
        yield _INSTANCE | place | of_an_instance[which]


class Body:
    """One remote write: its series stay, its numbers and times do not."""

    def __init__(
        self, content: bytes, numbers: NDArray[np.int64], times: NDArray[np.int64]
    ) -> None:
        self._content = np.frombuffer(content, np.uint8).copy()
        self._numbers = numbers[:, None] + np.arange(8)
        self._times = times[:, None] + np.arange(_TIME_BYTES)
        self._value = np.zeros(len(numbers))
        self._speed = np.random.default_rng(len(content)).uniform(1, 50, len(numbers))

    @classmethod
    def of(cls, labels: list[dict[str, str]]) -> Self:
        marks = [struct.pack("<d", -1.5 - number) for number in range(len(labels))]
        content = write_v1(
            Given(each, [(_MARK, -1.5 - number)]) for number, each in enumerate(labels)
        )
        places, after = [], 0
        for mark in marks:
            after = content.index(b"\x09" + mark + b"\x10", after) + 1
            places.append(after)
        numbers = np.array(places)
        return cls(content, numbers, numbers + 9)

    @property
    def samples(self) -> int:
        return len(self._value)

    def at(self, time_ms: int) -> bytes:
        """Give the body of the next scrape, packed: every counter has risen."""
        self._value += self._speed
        self._content[self._numbers] = self._value.astype("<f8").view(np.uint8).reshape(-1, 8)
        self._content[self._times] = _varint(time_ms)
        return pack(self._content.tobytes())


def bodies_of_a_fleet(count: int, entities: int) -> list[Body]:
    labels = list(series_of_a_fleet(count, entities))
    return [
        Body.of(labels[first : first + SERIES_OF_A_BODY])
        for first in range(0, count, SERIES_OF_A_BODY)
    ]


def _varint(number: int) -> NDArray[np.uint8]:
    parts = [number >> 7 * place & 0x7F for place in range(_TIME_BYTES)]
    more = [0x80] * (_TIME_BYTES - 1) + [0]
    return np.array([part | bit for part, bit in zip(parts, more, strict=True)], np.uint8)
