"""Both protocols are read as Google's own writer writes them, and nothing else gets through."""

import random
import struct
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import UnreadableWriteError, WriteTooLargeError
from features.sources.remote_write import codec as codec_module
from features.sources.remote_write.codec import Codec, Message, Written
from features.sources.remote_write.compression import unpack
from features.sources.remote_write.fields import V1 as FIELDS_V1
from features.sources.remote_write.fields import SeriesFields
from features.sources.remote_write.needed import Needed, _matches, identity_of
from features.sources.remote_write.wire import Part
from features.sources.rules import Gauge, Mapping, Matcher, Quantile, Rate, Selector
from tests.features.sources.remote_write.messages import V1, V2, Given, pack, write_v1, write_v2

MAPPING = Mapping(
    entity="job",
    metrics={
        "request_rate": Rate(of=Selector(name="requests_total")),
        "p99_ms": Quantile(of=Selector(name="latency"), level=0.99),
        "queue_depth": Gauge(
            of=Selector(name="queue", where=(Matcher(label="zone", op="!~", value="b.*"),))
        ),
        "p50_ms": Quantile(of=Selector(name="native"), native=True, level=0.5),
    },
)
Write = Callable[[list[Given]], bytes]
WRITERS = ((write_v1, Message.V1), (write_v2, Message.V2))
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def read(content: bytes, message: Message) -> Written:
    *_, written = Codec(Needed(MAPPING)).read(content, message)
    return written


def kept(written: Written) -> list[tuple[str, dict[str, str], int, bytes]]:
    samples = written.taken()
    return [
        (series.name, dict(series.labels), int(time), bits.tobytes())
        for series, time, bits in (
            (samples.series[row], samples.times[place], samples.values[place : place + 1])
            for place, row in enumerate(samples.rows)
        )
    ]


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
series = st.builds(
    Given,
    st.dictionaries(texts, texts, max_size=4).flatmap(
        lambda labels: st.fixed_dictionaries(
            {
                "__name__": st.sampled_from(("requests_total", "latency_bucket", "queue", "other")),
                "job": st.sampled_from(("orders", "checkout", "")),
                "zone": st.sampled_from(("a", "b1", "ü" * 70)),
                "le": st.sampled_from(("0.1", "+Inf")),
            }
        ).map(lambda fixed: labels | fixed)
    ),
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.one_of(st.floats(), st.just(STALE), st.sampled_from((0.0, -0.0))),
        ),
        max_size=4,
    ),
)


@pytest.mark.parametrize(("write", "message"), WRITERS)
@settings(max_examples=50)
@given(st.lists(series, max_size=6))
def test_what_is_needed_is_read_to_the_bit(
    write: Write, message: Message, written: list[Given]
) -> None:
    expected = [
        (
            labels["__name__"],
            {name: labels[name] for name in ("job", "zone", "le")},
            time,
            struct.pack("<d", value),
        )
        for labels, samples in written
        if labels["job"] and labels["__name__"] != "other"
        if labels["__name__"] != "queue" or not labels["zone"].startswith("b")
        for time, value in samples
    ]
    found = read(write(written), message)
    assert kept(found) == expected
    assert found.seen_series == len(written)
    assert found.refused == 0


@pytest.mark.parametrize(("write", "message"), WRITERS)
def test_an_identity_is_of_all_labels_and_of_no_protocol(write: Write, message: Message) -> None:
    labels = {"__name__": "requests_total", "job": "orders", "pod": "1"}
    other = labels | {"pod": "2"}
    found = read(write([Given(labels, [(1, 1.0)]), Given(other, [(1, 1.0)])]), message)
    assert [each.identity for each in found.series] == [
        identity_of(labels),
        identity_of(other),
    ]
    assert found.series[0].labels == (("job", "orders"),)


def test_all_that_2_0_sends_is_counted_for_its_sender() -> None:
    content = write_v2(
        [
            Given({"__name__": "other", "job": "orders"}, [(1, 1.0), (2, 2.0)]),
            Given({"__name__": "requests_total", "job": "orders"}, [(1, 1.0)]),
        ]
    )
    request = V2["Request"].FromString(content)
    request.timeseries[0].exemplars.add(value=1.0)
    request.timeseries[0].histograms.add(sum=3.0)
    found = read(request.SerializeToString(), Message.V2)
    assert (found.samples, found.histograms, found.exemplars) == (3, 1, 1)
    assert (found.unneeded_series, len(found.times)) == (1, 1)


@pytest.mark.parametrize("message", Message)
def test_a_native_histogram_that_is_needed_is_refused_and_the_rest_is_taken(
    message: Message,
) -> None:
    write = {Message.V1: write_v1, Message.V2: write_v2}[message]
    kind = {Message.V1: V1["WriteRequest"], Message.V2: V2["Request"]}[message]
    request = kind.FromString(
        write(
            [
                Given({"__name__": "native", "job": "orders"}, []),
                Given({"__name__": "requests_total", "job": "orders"}, [(1, 1.0)]),
            ]
        )
    )
    request.timeseries[0].histograms.add(sum=3.0, timestamp=1)
    found = read(request.SerializeToString(), message)
    assert found.refused == 1
    assert "classic buckets" in found.why_refused
    assert len(found.times) == 1


@pytest.mark.parametrize(("write", "message"), WRITERS)
def test_a_series_of_an_entity_whose_name_is_too_long_is_refused_alone(
    write: Write, message: Message
) -> None:
    series = [
        Given({"__name__": "requests_total", "job": "j" * length}, [(1, 1.0)])
        for length in (200, 201)
    ]
    found = read(write(series), message)
    assert (found.refused, len(found.times)) == (1, 1)
    assert "'job'" in found.why_refused
    assert "201" in found.why_refused


def test_long_labels_of_strangers_are_not_remembered() -> None:
    _matches.cache_clear()
    for zone in ("a", "z" * 8000):
        labels = {"__name__": "queue", "job": "orders", "zone": zone}
        assert len(read(write_v1([Given(labels, [(1, 1.0)])]), Message.V1).times) == 1
    assert _matches.cache_info().currsize == 1


@pytest.mark.parametrize(("write", "message"), WRITERS)
@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ({f"label_{number}": "x" for number in range(200)}, "128"),
        ({"long": "x" * 9000}, "8192"),
        ({"n" * 1025: "x"}, "1024"),
    ],
)
def test_a_series_beyond_a_bound_is_refused_alone(
    write: Write, message: Message, labels: dict[str, str], why: str
) -> None:
    good = {"__name__": "requests_total", "job": "orders"}
    found = read(
        write([Given(good | labels, [(1, 1.0), (2, 1.0)]), Given(good, [(1, 1.0)])]), message
    )
    assert (found.refused, len(found.times)) == (2, 1)
    assert why in found.why_refused


def test_a_label_that_comes_twice_is_refused() -> None:
    request = V1["WriteRequest"]()
    one = request.timeseries.add()
    for name, value in (("__name__", "requests_total"), ("job", "a"), ("job", "b")):
        one.labels.add(name=name, value=value)
    one.samples.add(value=1.0, timestamp=1)
    found = read(request.SerializeToString(), Message.V1)
    assert found.refused == 1
    assert "'job' twice" in found.why_refused


@pytest.mark.parametrize(
    ("bound", "most", "which"),
    [
        ("MOST_SERIES", 8, WRITERS[0]),
        ("MOST_SERIES", 8, WRITERS[1]),
        ("MOST_SAMPLES", 26, WRITERS[0]),
        ("MOST_SAMPLES", 26, WRITERS[1]),
        ("MOST_SYMBOLS", 12, WRITERS[1]),
    ],
)
def test_bounds_hold_on_what_a_body_may_hold(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int, which: tuple[Write, Message]
) -> None:
    write, message = which
    labels = {"__name__": "requests_total", "job": "a"}
    content = write([Given(labels | {"pod": str(n)}, [(1, 1.0)] * 3) for n in range(9)])
    assert len(read(content, message).times) == 27
    monkeypatch.setattr(codec_module, bound, most)
    with pytest.raises(WriteTooLargeError, match=str(most)):
        read(content, message)


def test_a_series_that_is_too_long_is_refused_before_it_is_held() -> None:
    one = Given({"__name__": "requests_total", "job": "a"}, [(1, 1.0)] * 20_001)
    for write, message in WRITERS:
        with pytest.raises(WriteTooLargeError, match="20000"):
            read(write([one]), message)


def test_what_unpacks_to_more_than_the_bound_is_refused_unread() -> None:
    with pytest.raises(WriteTooLargeError, match="33554432"):
        unpack(pack(bytes(33_554_433)))
    # A head that promises what so few bytes cannot hold: the room for it is not even taken.
    with pytest.raises(UnreadableWriteError, match="more than"):
        unpack(b"\x80\x80\x80\x10" + bytes(100))
    assert unpack(pack(b"")) == b""


def test_long_bodies_are_read_in_parts() -> None:
    many = [
        Given({"__name__": "requests_total", "job": "a", "pod": f"{n:0>300}"}, [(1, 1.0)])
        for n in range(1000)
    ]
    for write, message in WRITERS:
        parts = list(Codec(Needed(MAPPING)).read(write(many), message))
        assert len(parts) > 3
        assert len(parts[-1].times) == 1000


GOOD = (
    write_v1([Given({"__name__": "requests_total", "job": "orders", "zone": "ä"}, [(1, 2.0)])] * 2),
    write_v2([Given({"__name__": "requests_total", "job": "orders", "zone": "ä"}, [(1, 2.0)])] * 2),
)


@settings(max_examples=200)
@given(st.data())
def test_nothing_but_its_own_errors_comes_out(data: st.DataObject) -> None:
    """Bytes at random, and good bodies with some of their bytes changed, cut or doubled."""
    raw = bytearray(data.draw(st.one_of(st.binary(max_size=200), st.sampled_from(GOOD))))
    for _ in range(data.draw(st.integers(0, 5))):
        place = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    for message in Message:
        try:
            samples = read(bytes(raw), message).taken()
        except (UnreadableWriteError, WriteTooLargeError):
            continue
        assert len(samples.rows) == len(samples.times) == len(samples.values)
        assert not len(samples) or samples.rows.max() < len(samples.series)


def test_nothing_but_its_own_errors_comes_out_of_unpacking() -> None:
    draw = random.Random(7)  # noqa: S311 - bodies, not secrets
    good = pack(GOOD[0])
    for _ in range(1000):
        raw = bytearray(draw.choice((good, draw.randbytes(draw.randrange(60)))))
        for _ in range(draw.randrange(4)):
            raw[draw.randrange(len(raw) + 1) : draw.randrange(len(raw) + 1)] = draw.randbytes(2)
        try:
            unpack(bytes(raw))
        except (UnreadableWriteError, WriteTooLargeError):
            continue


@pytest.mark.parametrize(("write", "message"), WRITERS)
def test_the_series_that_are_remembered_have_a_bound(
    monkeypatch: pytest.MonkeyPatch, write: Write, message: Message
) -> None:
    # With what Python takes for each beside its labels, which is more than they are.
    monkeypatch.setattr(codec_module, "_MOST_KNOWN_BYTES", 25_000)
    reader = Codec(Needed(MAPPING))
    for n in range(500):
        content = write(
            [Given({"__name__": "requests_total", "job": "a", "pod": str(n)}, [(n, 1.0)])]
        )
        *_, written = reader.read(content, message)
        assert np.array_equal(written.taken().times, [n])
    assert len(reader._known) < 60


def test_labels_behind_another_field_are_not_copied_again_for_each() -> None:
    label = b"\x0a\xc0\x0c" + bytes(1600)
    content = b"\x48\x01" + label * 8000
    begun = time.thread_time()
    fields = SeriesFields.of(content, Part(1, 2, 0, 0, len(content)), FIELDS_V1)
    assert time.thread_time() - begun < 0.5
    assert fields.labels == content[2:]
