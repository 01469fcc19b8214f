"""Reads the partitions of one topic, each from an offset that the caller knows.

Every call may wait for the broker, so one thread makes them all.
"""

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from features.sources.kafka.batch import Batch, Message, Span
from features.sources.kafka.client import ANSWER_SECONDS, away, open_consumer, refusal
from features.sources.kafka.config import KafkaTopic
from features.sources.source import Complaint, Faults

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

# At once: as many as are checked and stored in a moment.
MOST_BYTES = 8 * 1024 * 1024
MOST_MESSAGES = 5_000
WAIT_SECONDS = 1.0
LINGER_SECONDS = 0.05
# What is being read again is there: a broker that does not give it is away.
AGAIN_SECONDS = 10.0
# A broker that is gone just falls silent, and only asking shows it; busy ones are asked seldom.
QUIET_LOOK_SECONDS, BUSY_LOOK_SECONDS = 5.0, 30.0
DAY_MS = 86_400_000

# How the library calls what an offset is out of, by itself and by the broker.
_OUT_OF_RANGE = {"_AUTO_OFFSET_RESET", "OFFSET_OUT_OF_RANGE"}

log = logging.getLogger(__name__)


class TopicReader:
    """One topic behind one consumer, which is opened and closed as often as is needed."""

    def __init__(
        self,
        source: str,
        topic: KafkaTopic,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._topic = topic
        self._monotonic = monotonic
        self._consumer: Consumer | None = None
        self._is_open = False
        self._next: dict[int, int] = {}
        self._begins: dict[int, int] = {}
        self._made_anew: set[int] = set()
        self._quiet = True
        self._at_end: set[int] = set()
        self._faults = Faults()
        self._errors: list[KafkaError] = []
        self._looked_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it reads; to ask where to begin it is connected already."""
        return self._is_open

    def open(self, ends: Mapping[int, int]) -> None:
        """Go on where each partition was read to; what is new since is read from its beginning."""
        consumer = self._connect()
        self._next = dict(ends)
        for partition in self._partitions(consumer):
            if partition not in self._next:
                self._next[partition] = self._bounds(consumer, partition).begin
        self._assign(consumer, self._next)
        self._is_open = True

    def starts(self, since_ms: int | None) -> dict[int, int]:
        """Tell the offset of each partition from a moment on; without one, of what is to come."""
        consumer = self._connect()
        partitions = self._partitions(consumer)
        starts = {each: self._bounds(consumer, each).end for each in partitions}
        if since_ms is not None:
            asked = [self._place(each, since_ms) for each in partitions]
            found: list[TopicPartition] = self._ask(
                lambda: consumer.offsets_for_times(asked, timeout=ANSWER_SECONDS)
            )
            # A negative one says that nothing is as late.
            starts |= {each.partition: each.offset for each in found if each.offset >= 0}
        return starts

    def newest_starts(self, count: int) -> dict[int, int]:
        """Tell the offsets from which about so many messages are left in all partitions."""
        consumer = self._connect()
        bounds = {each: self._bounds(consumer, each) for each in self._partitions(consumer)}
        share = -(-count // max(len(bounds), 1))
        return {each: max(span.begin, span.end - share) for each, span in bounds.items()}

    def read(self) -> Batch:
        """Give what comes within a second, or what is there, up to a limit."""
        consumer = self._opened()
        self._look(consumer, QUIET_LOOK_SECONDS if self._quiet else BUSY_LOOK_SECONDS)
        self._begins = dict(self._next)
        messages = self._poll(self._opened())
        self._quiet = not messages
        spans = {
            each: Span(self._begins[each], at)
            for each, at in self._next.items()
            if at != self._begins[each]
        }
        return Batch(tuple(sorted(messages)), spans, self._complaints())

    def again(self, spans: Mapping[int, Span]) -> Batch:
        """Give the messages of these spans once more, as far as they are still there."""
        left = {each: span for each, span in spans.items() if span.begin < span.end}
        if not left:
            return Batch(spans=spans)
        consumer, after = self._opened(), dict(self._next)
        self._next = {each: span.begin for each, span in left.items()}
        self._begins = dict(self._next)
        self._made_anew.clear()
        self._assign(consumer, self._next)
        found: list[Message] = []
        deadline = self._monotonic() + AGAIN_SECONDS
        while not all(self._is_again_at(each, span.end) for each, span in left.items()):
            if self._monotonic() > deadline:
                raise away(self._source, self._topic, "what was read before does not come again")
            found += self._poll(consumer)
        ends = {each: span.end for each, span in left.items() if each not in self._made_anew}
        # Another log was never read: all of it is to come.
        anew = {each: self._begins[each] for each in self._made_anew}
        self._next = after | ends | anew
        self._assign(consumer, self._next)
        within = (each for each in found if each.offset < ends.get(each.partition, 0))
        return Batch(tuple(sorted(within)), spans, self._complaints())

    def _is_again_at(self, partition: int, end: int) -> bool:
        there = self._next[partition] >= end or partition in self._at_end
        return there or partition in self._made_anew

    @property
    def all_read(self) -> bool:
        """Whether the end of every partition was seen, and nothing since."""
        return self._at_end >= self._next.keys()

    def close(self) -> None:
        consumer, self._consumer, self._is_open = self._consumer, None, False
        if consumer is not None:
            consumer.close()

    def _connect(self) -> "Consumer":
        if self._consumer is None:
            self._errors.clear()
            self._consumer = open_consumer(self._source, self._topic, self._errors.append)
        return self._consumer

    def _opened(self) -> "Consumer":
        if self._consumer is None:
            raise RuntimeError("a topic is read before it is opened")
        return self._consumer

    def _assign(self, consumer: "Consumer", offsets: Mapping[int, int]) -> None:
        self._at_end.clear()
        self._quiet = True
        self._looked_at = self._monotonic()
        consumer.assign([self._place(*each) for each in offsets.items()])

    def _poll(self, consumer: "Consumer") -> list[Message]:
        found: list[Message] = []
        size, wait, deadline = 0, WAIT_SECONDS, self._monotonic() + WAIT_SECONDS
        while size < MOST_BYTES and len(found) < MOST_MESSAGES and self._monotonic() < deadline:
            polled = consumer.poll(wait)
            if polled is None:
                break
            partition, offset = polled.partition() or 0, polled.offset() or 0
            if (error := polled.error()) is not None:
                self._note(consumer, error, partition, offset)
                continue
            wait = LINGER_SECONDS
            self._next[partition] = offset + 1
            self._at_end.discard(partition)
            # One without a body says that its key is gone: of measurements, nothing.
            if (body := polled.value()) is not None:
                found.append(Message(partition, offset, bytes(body)))
                size += len(body)
        return found

    def _note(self, consumer: "Consumer", error: "KafkaError", partition: int, offset: int) -> None:
        if error.name() == "_PARTITION_EOF":
            self._at_end.add(partition)
        elif error.name() in _OUT_OF_RANGE:
            self._leap(consumer, partition)
        elif (refused := refusal(self._source, self._topic, error)) is not None:
            raise refused
        else:  # the library goes on by itself; whether the broker is away is asked for
            log.debug("Kafka says to %s at %d: %s", self._source, offset, error)

    def _leap(self, consumer: "Consumer", partition: int) -> None:
        """Go on with the oldest message that is there, where the next one is not."""
        bounds, wanted = self._bounds(consumer, partition), self._next[partition]
        if wanted > bounds.end:
            why = (
                f"it ends before {wanted}: the topic was made anew, and is read from its beginning"
            )
            self._faults.add("gap", 1, f"partition {partition}: {why}")
            self._made_anew.add(partition)
        else:
            why = f"offsets {wanted} to {bounds.begin - 1} were deleted before they were read"
            self._faults.add("gap", max(bounds.begin - wanted, 1), f"partition {partition}: {why}")
        self._next[partition] = self._begins[partition] = bounds.begin
        # The library seeks only where it is fetching, and behind an error it is not.
        self._assign(consumer, self._next)

    def _complaints(self) -> tuple[Complaint, ...]:
        faults, self._faults = self._faults, Faults()
        return faults.complaints()

    def _look(self, consumer: "Consumer", every: float) -> None:
        """See whether the broker is there, and whether the topic has more partitions now."""
        if self._monotonic() - self._looked_at < every:
            return
        partitions = self._partitions(consumer)
        self._looked_at = self._monotonic()
        if new := [each for each in partitions if each not in self._next]:
            log.info("The topic of %s has %d more partitions", self._source, len(new))
            self.close()
            self.open(self._next)

    def _partitions(self, consumer: "Consumer") -> list[int]:
        topic = self._topic.topic
        metadata = self._ask(lambda: consumer.list_topics(topic, timeout=ANSWER_SECONDS))
        found = metadata.topics[topic]
        if found.error is not None:
            raise self._failure(consumer, found.error)
        return sorted(found.partitions)

    def _bounds(self, consumer: "Consumer", partition: int) -> Span:
        """Tell the oldest offset that is there, and the one behind the newest."""
        place = self._place(partition)
        return Span(
            *self._ask(lambda: consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS))
        )

    def _ask(self, ask: Callable[[], Any]) -> Any:
        from confluent_kafka import KafkaException  # noqa: PLC0415 - an extra, see client.py

        try:
            found = ask()
        except KafkaException as error:
            raise self._failure(self._opened(), error.args[0]) from None
        self._errors.clear()
        return found

    def _failure(self, consumer: "Consumer", error: "KafkaError") -> Exception:
        """Say what is wrong: what the connections said tells more than what a call did."""
        consumer.poll(0)
        said = [*self._errors, error]
        refused = (refusal(self._source, self._topic, each) for each in said)
        found = next((each for each in refused if each is not None), None)
        if found is not None:
            return found
        nothing = f"no broker answers within {ANSWER_SECONDS:g} s, or the port is one of TLS"
        return away(
            self._source, self._topic, str(self._errors[0].str()) if self._errors else nothing
        )

    def _place(self, partition: int, offset: int = 0) -> "TopicPartition":
        from confluent_kafka import TopicPartition  # noqa: PLC0415 - an extra, see client.py

        return TopicPartition(self._topic.topic, partition, offset)
