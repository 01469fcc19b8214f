"""A second writer of remote writes: Google's own Protocol Buffers, from descriptors made here."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
from google.protobuf import (  # type: ignore[import-untyped] # it has no types of its own
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)

_KINDS = {
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
# name of a message: (field, number, type or message, repeated)
_V1 = {
    "Label": (("name", 1, "string", False), ("value", 2, "string", False)),
    "Sample": (("value", 1, "double", False), ("timestamp", 2, "int64", False)),
    "Exemplar": (
        ("labels", 1, "Label", True),
        ("value", 2, "double", False),
        ("timestamp", 3, "int64", False),
    ),
    "Histogram": (("sum", 3, "double", False), ("timestamp", 15, "int64", False)),
    "TimeSeries": (
        ("labels", 1, "Label", True),
        ("samples", 2, "Sample", True),
        ("exemplars", 3, "Exemplar", True),
        ("histograms", 4, "Histogram", True),
    ),
    "MetricMetadata": (("metric_family_name", 2, "string", False), ("help", 4, "string", False)),
    "WriteRequest": (
        ("timeseries", 1, "TimeSeries", True),
        ("metadata", 3, "MetricMetadata", True),
    ),
}
_V2 = {
    "Sample": (
        ("value", 1, "double", False),
        ("timestamp", 2, "int64", False),
        ("start_timestamp", 3, "int64", False),
    ),
    "Exemplar": (("labels_refs", 1, "uint32", True), ("value", 2, "double", False)),
    "Histogram": (("sum", 3, "double", False), ("timestamp", 15, "int64", False)),
    "Metadata": (("help_ref", 3, "uint32", False), ("unit_ref", 4, "uint32", False)),
    "TimeSeries": (
        ("labels_refs", 1, "uint32", True),
        ("samples", 2, "Sample", True),
        ("histograms", 3, "Histogram", True),
        ("exemplars", 4, "Exemplar", True),
        ("metadata", 5, "Metadata", False),
    ),
    "Request": (("symbols", 4, "string", True), ("timeseries", 5, "TimeSeries", True)),
}


def _classes(package: str, schema: Mapping[str, Iterable[tuple[str, int, str, bool]]]) -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto", package=package, syntax="proto3"
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            added = message.field.add(name=field, number=number, label=3 if repeated else 1)
            if kind in _KINDS:
                added.type = _KINDS[kind]
            else:
                added.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
                added.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in schema
    }


V1 = _classes("prometheus", _V1)
V2 = _classes("io.prometheus.write.v2", _V2)


class Given(NamedTuple):
    """A series as a test writes it: labels, and (milliseconds, value) of each sample."""

    labels: dict[str, str]
    samples: list[tuple[int, float]]


def write_v1(series: Iterable[Given]) -> bytes:
    """Write a body of version 1.0, not packed yet."""
    request = V1["WriteRequest"]()
    for labels, samples in series:
        added = request.timeseries.add()
        for name in sorted(labels):
            added.labels.add(name=name, value=labels[name])
        for time, value in samples:
            added.samples.add(timestamp=time, value=value)
    content: bytes = request.SerializeToString()
    return content


def write_v2(series: Iterable[Given]) -> bytes:
    """Write a body of version 2.0, not packed yet."""
    request, numbers = V2["Request"](), {"": 0}
    for labels, samples in series:
        added = request.timeseries.add()
        for name in sorted(labels):
            for text in (name, labels[name]):
                added.labels_refs.append(numbers.setdefault(text, len(numbers)))
        for time, value in samples:
            added.samples.add(timestamp=time, value=value)
    request.symbols.extend(numbers)
    content: bytes = request.SerializeToString()
    return content


def pack(content: bytes) -> bytes:
    """Pack a body as senders do."""
    packed: bytes = pa.compress(content, codec="snappy", asbytes=True)
    return packed
