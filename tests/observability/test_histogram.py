import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from observability.histogram import BatchHistogram

BOUNDS = (0.1, 0.5, 1.0, 10.0)

batches = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        # Multiples of 1/8 add up without rounding, in whatever order.
        st.lists(
            st.integers(-8, 100).map(lambda n: n / 8) | st.sampled_from(BOUNDS[1:]), max_size=70
        ),
    ),
    max_size=8,
)


@given(batches)
def test_it_counts_as_the_client_library_counts_one_value_at_a_time(
    seen: list[tuple[str, list[float]]],
) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    batch = BatchHistogram("h", "doc", ["model"], bounds=BOUNDS, registry=ours)
    single = Histogram("h", "doc", ["model"], buckets=BOUNDS, registry=theirs)
    for label, values in seen:
        batch.observe(np.array(values), label)
        single.labels(label)
        for value in values:
            single.labels(label).observe(value)
    without_created = [
        line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line
    ]
    assert generate_latest(ours).decode().splitlines() == without_created


def test_what_is_no_finite_number_is_left_out() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("h", "doc", [], bounds=BOUNDS, registry=registry)
    histogram.observe([0.25, math.nan, math.inf])
    assert registry.get_sample_value("h_count") == 1
    assert registry.get_sample_value("h_sum") == 0.25


def test_the_wrong_number_of_labels_is_a_mistake() -> None:
    histogram = BatchHistogram("h", "doc", ["a"], bounds=BOUNDS, registry=CollectorRegistry())
    with pytest.raises(ValueError, match="has the labels"):
        histogram.observe([1.0])


def test_a_name_can_be_taken_once() -> None:
    registry = CollectorRegistry()
    BatchHistogram("h", "doc", [], bounds=BOUNDS, registry=registry)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        BatchHistogram("h", "doc", [], bounds=BOUNDS, registry=registry)


def test_threads_lose_no_value() -> None:
    registry = CollectorRegistry()
    histogram = BatchHistogram("h", "doc", [], bounds=BOUNDS, registry=registry)

    def work() -> None:
        for _ in range(500):
            histogram.observe([0.25, 2.0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.get_sample_value("h_count") == 4000
    assert registry.get_sample_value("h_sum") == 2000 * 2.25
