"""What one read of a topic gave: messages, and how far each partition was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from features.sources.source import Complaint


class Message(NamedTuple):
    partition: int
    offset: int
    body: bytes


class Span(NamedTuple):
    """The offsets of one partition that a read covers, from the first to behind the last."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one read, by partition in their order."""

    messages: tuple[Message, ...] = ()
    spans: Mapping[int, Span] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()
