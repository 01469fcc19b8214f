"""What a remote write costs: reading it at the gateway, and the windows that it fills.

    python -m benchmarks.decisions.remote_write

Times are of the process alone, so that a busy machine does not change them much.
"""

import resource
import time
from collections.abc import Callable

import numpy as np

from features.sources.remote_write.codec import Codec, Message
from features.sources.remote_write.compression import unpack
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.needed import Needed, Series
from features.sources.remote_write.samples import Samples, decode, encode
from features.sources.remote_write.windows import Windows
from features.sources.rules import Mapping, Quantile, Rate, Selector
from tests.features.sources.remote_write.messages import Given, pack, write_v1, write_v2

BODIES, A_BODY = 20, 2000
SERIES, SCRAPE_SECONDS, CADENCE = 100_000, 10, 60
START = 1_764_000_000
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
BUCKETS = "latency_seconds_bucket"
MAPPING = Mapping(
    entity="job",
    metrics={
        "request_rate": Rate(of=Selector(name=BUCKETS)),
        "p50_ms": Quantile(of=Selector(name="latency_seconds"), level=0.5),
        "p99_ms": Quantile(of=Selector(name="latency_seconds"), level=0.99),
    },
)


def a_body(needed: int) -> list[Given]:
    """Give series as a usual service has them, of which so many are needed."""
    return [
        Given(
            {
                "__name__": BUCKETS if number < needed else "go_gc_duration_seconds",
                "job": f"service-{number % 50}",
                "instance": f"10.0.0.{number}:8080",
                "pod": f"service-{number}-abcdef",
                "namespace": "prod",
                "cluster": "eu-1",
                "method": "GET",
                "path": f"/api/{number % 7}",
                "le": BOUNDS[number % len(BOUNDS)],
            },
            [(START * 1000 + number, float(number))],
        )
        for number in range(A_BODY)
    ]


def read(write: Callable[[list[Given]], bytes], message: Message, needed: int) -> float:
    """Give the samples a second from a body to an entry of the stream."""
    codec, body = Codec(Needed(MAPPING)), pack(write(a_body(needed)))
    started = 0.0
    for number in range(BODIES + 1):
        *_, written = codec.read(unpack(body), message)
        encode(written.taken())
        if number == 0:  # the series are known from here on
            started = time.process_time()
    return BODIES * A_BODY / (time.process_time() - started)


def fill() -> None:
    """Fill the windows with two intervals, and evaluate them."""
    draw = np.random.default_rng(1)
    series = [
        Series(
            int(identity),
            BUCKETS,
            (("job", f"service-{number % 500}"), ("le", BOUNDS[number % len(BOUNDS)])),
        )
        for number, identity in enumerate(draw.integers(0, 2**63, SERIES))
    ]
    windows, before = Windows(MAPPING, CADENCE, edition=EDITIONS[3]), _memory_mb()
    spent, entries_bytes, scrapes = 0.0, 0, 2 * CADENCE // SCRAPE_SECONDS + 1
    for scrape in range(scrapes):
        at = START + scrape * SCRAPE_SECONDS
        for first in range(0, SERIES, A_BODY):
            entry = encode(
                Samples(
                    series[first : first + A_BODY],
                    np.arange(A_BODY, dtype=np.uint32),
                    np.full(A_BODY, at * 1000 + first // 11, np.int64),
                    np.arange(A_BODY, dtype=np.float64) + scrape * 50,
                )
            )
            entries_bytes += len(entry)
            started = time.process_time()
            windows.add(f"{scrape}-{first}", decode(entry), at * 1000 + 9000)
            spent += time.process_time() - started
    started = time.process_time()
    found = windows.finished(START + 10 * CADENCE)
    evaluated = (time.process_time() - started) / 2
    minute = entries_bytes / scrapes * 60 / SCRAPE_SECONDS
    print(
        f"{SERIES} series every {SCRAPE_SECONDS} s: {minute / 1e6:.1f} MB of Redis a minute, "
        f"{_memory_mb() - before:.0f} MB of memory at most, {scrapes * SERIES / spent:,.0f} "
        f"samples/s into the windows, {evaluated:.2f} s for an interval of "
        f"{len(found.telemetry) // 2} entities"
    )


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    for message, write in ((Message.V1, write_v1), (Message.V2, write_v2)):
        for needed in (A_BODY, A_BODY // 20):
            rate = read(write, message, needed)
            print(f"{message.name}, {needed} of {A_BODY} series needed: {rate:,.0f} samples/s")
    fill()


if __name__ == "__main__":
    main()
