"""Feeds the streams of telemetry: asks the history what is new, and puts each interval in once.

One replica feeds at a time. Where two do for a moment, or one feeds again what another one fed
before it died, the streams themselves pass over what they took: an interval's time is its number.
What is read back from Redis only spares the asking. While nobody feeds, the history keeps the rows;
who takes over goes on behind the newest interval of each stream. An entity of which a stream took
nothing, because it cannot be read or written, is put off by itself: the others go on.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from config_store.document import StreamsConfig, TelemetryStreams
from deployments.anomaly.telemetry.put_off import PutOff
from deployments.anomaly.telemetry.rows import Row, rows_of
from deployments.anomaly.telemetry.streams import TelemetryKeys
from deployments.history import client as history
from deployments.history.questions import PAST_INTERVALS, Newest, News, Questions
from features.telemetry.judged import Judged, forget_judged, publish_judged, read_judged
from observability.timeline.stream import TimelineStream

# Entities that are up to date are asked for together, others a few at a time: each has a past.
TOGETHER, WITH_PAST = 500, 2
# In intervals. Metrics of one interval may come from two sources, one of which is later.
OVERLAP, NEAR = 5, 20
# A source whose past cannot be had does not keep its entities waiting for longer.
PATIENCE_SECONDS = 600.0
TIDY_SECONDS = 600.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Following:
    """What the feeder knows of one entity."""

    judged: Judged = field(default_factory=lambda: Judged({}))
    fed_to: int = -1
    """The newest interval that was looked at."""


class Feeder:
    """`step` does the next piece of work and says whether there is more at once."""

    def __init__(
        self,
        keys: TelemetryKeys,
        redis: Redis,
        leads: Callable[[], bool],
        streams: Callable[[], StreamsConfig | None],
        monotonic: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._redis = redis
        self._timeline = TimelineStream(redis)
        self._leads = leads
        self._streams = streams
        self._monotonic = monotonic
        self._news = News("", {}, frozenset())
        self._following: dict[str, Following] | None = None
        self._waiting: dict[str, float] = {}
        self._put_off = PutOff(monotonic)
        self._left_out = 0
        self._fed_near = False
        self._wanted: TelemetryStreams | None = None
        self._tidied = float("-inf")

    async def step(self) -> bool:
        streams = self._streams()
        if streams is None or not self._leads():
            self._following = None
            return False
        following = self._following
        if following is None:
            following = self._following = await self._take_over()
        await self._tidy(following, streams.telemetry)
        if not streams.telemetry.metrics:
            return False
        news = await history.ask(Questions.news, self._news.version)
        self._news = self._news if news is None else news
        return await self._feed(following, streams)

    async def _take_over(self) -> dict[str, Following]:
        """Read where the streams stand, whoever fed them."""
        entities = await self._keys.entities()
        judged = await read_judged(self._redis, entities)
        self._wanted, self._tidied = None, float("-inf")
        self._put_off = PutOff(self._monotonic)
        return {each: Following(judged.get(each, Judged({}))) for each in entities}

    async def _tidy(self, following: dict[str, Following], wanted: TelemetryStreams) -> None:
        """Delete streams of metrics and entities that are not followed any more, now and then."""
        now = self._monotonic()
        if wanted == self._wanted and now - self._tidied < TIDY_SECONDS:
            return
        if surplus := sorted(following)[wanted.most_entities if wanted.metrics else 0 :]:
            await forget_judged(self._redis, surplus)
        # Where nothing was measured for a week, what was said of it has expired.
        known = await read_judged(self._redis, list(following))
        metrics = {each: wanted.metrics if each in known else () for each in following}
        await self._keys.keep(metrics)
        for entity in following.keys() - known.keys():
            del following[entity]
        if wanted != self._wanted:
            for each in following.values():
                each.fed_to = -1  # a metric that is new begins with its past
        self._wanted, self._tidied = wanted, now

    async def _feed(self, following: dict[str, Following], streams: StreamsConfig) -> bool:
        due = self._put_off.without(self._due(following, streams.telemetry.most_entities))
        near, far = list[str](), list[str]()
        for entity in due:
            known = following.get(entity)
            newest = self._news.newest[entity]
            since = _since(known, newest, streams.telemetry.metrics)
            is_near = newest.ts - since <= NEAR * newest.cadence_seconds
            (near if is_near and not self._put_off.times(entity) else far).append(entity)
        # In turn: who has much to catch up with waits for nobody, and nobody for them.
        far_next = bool(far) and (not near or self._fed_near)
        self._fed_near = not far_next
        chosen = self._few_of(far) if far_next else near[:TOGETHER]
        if not chosen:
            return False
        if not await self._feed_these(following, chosen, streams):
            return False
        return len(due) > len(chosen)

    def _few_of(self, far: Sequence[str]) -> Sequence[str]:
        """Choose those that were never put off first; the others each alone, for one may fail all.

        A key of a type that is not a stream's fails what is read with it.
        """
        far = sorted(far, key=self._put_off.times)
        return [each for each in far[:WITH_PAST] if not self._put_off.times(each)] or far[:1]

    def _due(self, following: Mapping[str, Following], most: int) -> list[str]:
        """Name the entities of which there is something new, those that are followed first."""
        newest, now = self._news.newest, self._monotonic()
        known = [e for e in newest if e in following and following[e].fed_to < newest[e].ts]
        others = sorted(newest.keys() - following.keys())
        room = max(most - len(following), 0)
        if others[room:] and len(others[room:]) != self._left_out:
            log.warning(
                "%d entities are not followed for regimes and alarms, among them %r: "
                "streams.telemetry.most_entities is %d",
                len(others[room:]),
                others[room],
                most,
            )
        self._left_out = len(others[room:])
        since = {each: self._waiting.get(each, now) for each in others[:room]}
        self._waiting = since
        ripe = [
            each
            for each in since
            if newest[each].source not in self._news.filling or now - since[each] > PATIENCE_SECONDS
        ]
        return known + ripe

    async def _feed_these(
        self, following: dict[str, Following], entities: Sequence[str], streams: StreamsConfig
    ) -> bool:
        """Feed what is new of these; False where nothing of it could be written down."""
        metrics = streams.telemetry.metrics
        newest = {each: self._news.newest[each] for each in entities}
        since = min(_since(following.get(e), newest[e], metrics) for e in entities)
        until = max(each.ts for each in newest.values()) + 1
        found = await history.ask(Questions.intervals, entities, metrics, since, until)
        before = {e: following[e].judged for e in entities if e in following}
        rows = rows_of(found, before, newest)
        count = max(len(following), len(entities)) * len(metrics)
        refused = await self._put_in(rows, before, streams, count)
        taken = [each for each in entities if each not in refused]
        self._put_off.note(taken, refused)
        for entity in taken:
            said = before.get(entity, Judged({})).metrics
            kept = {str(name): said[name] for name in metrics if name in said}
            following[entity] = Following(Judged(kept, metrics), newest[entity].ts)
        judged = {each: following[each].judged for each in taken}
        await publish_judged(self._redis, {e: each for e, each in judged.items() if each.metrics})
        return bool(taken)

    async def _put_in(
        self,
        rows: Iterable[Row],
        judged: dict[str, Judged],
        streams: StreamsConfig,
        count: int,
    ) -> set[str]:
        """Put rows in; give the entities of which a stream refused some."""
        refused = set[str]()
        async for slice_, said, events in self._keys.take(rows, streams, count):
            # On the timeline before what is fed is remembered: told twice it is one event.
            await self._timeline.add(events)
            for row, metric in zip(slice_, said, strict=True):
                if metric is None:
                    refused.add(row.entity)
                    continue
                known = judged.get(row.entity, Judged({}))
                judged[row.entity] = Judged({**known.metrics, row.metric: metric}, known.asked)
        return refused


def _since(known: Following | None, newest: Newest, metrics: Sequence[str]) -> int:
    """Give from which interval on there may be something new of an entity."""
    cadence = newest.cadence_seconds
    begin = newest.ts - PAST_INTERVALS * cadence
    if known is None or set(metrics) - set(known.judged.asked):
        return begin
    fed_to = known.fed_to
    if fed_to < 0 and known.judged.metrics:
        fed_to = known.judged.event_time
    return max(fed_to - OVERLAP * cadence, begin)
