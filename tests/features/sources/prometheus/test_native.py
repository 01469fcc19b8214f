"""Native histograms, which a prometheus takes by remote write only, or from protobuf scrapes."""

import struct
from collections.abc import Iterable

import httpx
import numpy as np
import pyarrow as pa

from features.sources.prometheus.api import PrometheusApi
from features.sources.prometheus.source import PrometheusSource
from features.sources.rules import Mapping
from tests.prometheus_server import running

START = 1_700_000_040
SCRAPES = 40
SCHEMA = 0  # buckets whose borders are the powers of two
BUCKET = 3  # from 4 to 8


def varint(number: int) -> bytes:
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def whole(field: int, number: int) -> bytes:
    return varint(field << 3) + varint(number)


def signed(field: int, number: int) -> bytes:
    return whole(field, number << 1 if number >= 0 else (-number << 1) - 1)


def double(field: int, number: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", number)


def part(field: int, *content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(b"".join(content))) + b"".join(content)


def label(name: str, value: str) -> bytes:
    return part(1, part(1, name.encode()), part(2, value.encode()))


def histogram(count: int, at: int) -> bytes:
    """Hold so many observations in one bucket, by prompb's fields."""
    span = part(11, signed(1, BUCKET), whole(2, 1))
    deltas = part(12, varint(count << 1))
    total = double(3, 6.0 * count)
    numbers = whole(1, count) + total + signed(4, SCHEMA) + double(5, 1e-9) + whole(6, 0)
    return part(4, numbers, span, deltas, whole(15, at * 1000))


def written(histograms: Iterable[bytes]) -> bytes:
    labels = label("__name__", "seconds") + label("job", "shop")
    request = part(1, labels, *histograms)
    return bytes(pa.compress(request, codec="snappy", asbytes=True))


async def test_quantiles_of_native_histograms() -> None:
    with running() as server:
        content = written(histogram(10 * each, START + 15 * each) for each in range(SCRAPES))
        headers = {"content-encoding": "snappy", "content-type": "application/x-protobuf"}
        async with httpx.AsyncClient(base_url=server.url) as client:
            answer = await client.post("/api/v1/write", content=content, headers=headers)
        assert answer.status_code == 204, answer.text
        api = PrometheusApi("prod", server.url, random=lambda: 0.5)
        rule = {"kind": "quantile", "of": {"name": "seconds"}, "level": 0.5, "native": True}
        mapping = Mapping.model_validate({"entity": "job", "metrics": {"p50_ms": rule}})
        source = PrometheusSource("prod", api, mapping, 60, lambda: START + 1000)
        found = (await source.range(START, START + 480)).telemetry
        await api.close()
    assert found.ts.tolist() == [START + 60 * minute for minute in range(8)]
    np.testing.assert_allclose(found.p50_ms, 6000)  # halfway through the bucket
