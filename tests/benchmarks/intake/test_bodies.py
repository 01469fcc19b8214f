"""What is stamped anew says what the message's own reader reads."""

import pyarrow as pa

from benchmarks.intake.bodies import bodies_of_a_fleet
from tests.features.sources.remote_write.messages import V1

AT = 1_795_800_000_123


def read(packed: bytes, size: int) -> list[tuple[dict[str, str], float, int]]:
    content = pa.decompress(packed, decompressed_size=size, codec="snappy", asbytes=True)
    request = V1["WriteRequest"].FromString(content)
    return [
        (
            {label.name: label.value for label in each.labels},
            each.samples[0].value,
            each.samples[0].timestamp,
        )
        for each in request.timeseries
    ]


def test_each_scrape_has_all_series_with_its_time_and_counters_that_rose() -> None:
    bodies = bodies_of_a_fleet(4_500, entities=50)
    assert [body.samples for body in bodies] == [2_000, 2_000, 500]
    for body in bodies:
        first = read(body.at(AT), len(body._content))
        second = read(body.at(AT + 10_000), len(body._content))
        assert {time for *_, time in first} == {AT}
        assert {time for *_, time in second} == {AT + 10_000}
        assert [labels for labels, *_ in first] == [labels for labels, *_ in second]
        assert all(
            later == 2 * before > 0
            for (_, before, _), (_, later, _) in zip(first, second, strict=True)
        )


def test_no_series_is_there_twice() -> None:
    found = [
        tuple(sorted(labels.items()))
        for body in bodies_of_a_fleet(6_000, entities=20)
        for labels, *_ in read(body.at(AT), len(body._content))
    ]
    assert len(set(found)) == len(found) == 6_000
    assert len({dict(labels)["job"] for labels in found}) == 20
