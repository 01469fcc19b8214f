"""The HTTP API of a Prometheus, as far as telemetry and the catalogue of its series need it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from features.errors import SourceRefusedError
from features.sources.http.api import SourceApi
from features.sources.http.connection import Answer, Fields
from features.sources.prometheus.answers import (
    Labels,
    Sample,
    Series,
    label_sets_in,
    samples_in,
    series_in,
    texts_in,
)
from features.sources.prometheus.refusals import AskedServer, content_of

_PREFIX: Final = "api/v1/"

T = TypeVar("T")


class PrometheusApi(SourceApi):
    """Asks a Prometheus, or what speaks its API."""

    async def query(self, promql: str, at: float) -> list[Sample]:
        """Evaluate at one instant, epoch seconds."""
        fields = [("query", promql), *_instant("time", at), *self._query_options()]
        return await self._post("query", fields, samples_in)

    async def query_range(
        self, promql: str, start: float, stop: float, step_seconds: int
    ) -> list[Series]:
        """Evaluate at start, a step later and so on, up to and with stop."""
        period = [*_instant("start", start), *_instant("end", stop)]
        fields = [("query", promql), *period, ("step", str(step_seconds))]
        return await self._post("query_range", [*fields, *self._query_options()], series_in)

    async def label_names(
        self, matching: Sequence[str], start: float | None = None, stop: float | None = None
    ) -> list[str]:
        """List the labels of the series that match any of the selectors."""
        return await self._post("labels", _filter(matching, start, stop), texts_in)

    async def label_values(
        self,
        name: str,
        matching: Sequence[str] = (),
        start: float | None = None,
        stop: float | None = None,
    ) -> list[str]:
        """List a label's values; those of `__name__` are the names of all series."""
        fields = _filter(matching, start, stop)
        return await self._get(f"label/{name}/values", fields, texts_in)

    async def series(
        self, matching: Sequence[str], start: float | None = None, stop: float | None = None
    ) -> list[Labels]:
        """List the label sets of the series that match any of the selectors."""
        return await self._post("series", _filter(matching, start, stop), label_sets_in)

    def _query_options(self) -> Fields:
        # The server gives up when we do. Thanos would answer with a part of the series and call
        # it a success; the others pass over that word.
        return (("timeout", f"{self._limits.answer_seconds:g}s"), ("partial_response", "false"))

    async def _post(self, path: str, fields: Fields, read: Callable[[object], T]) -> T:
        answer = await self._connection.ask("POST", f"{_PREFIX}{path}", fields)
        return await self._read(path, answer, read)

    async def _get(self, path: str, fields: Fields, read: Callable[[object], T]) -> T:
        answer = await self._connection.ask("GET", f"{_PREFIX}{path}", fields)
        return await self._read(path, answer, read)

    async def _read(self, path: str, answer: Answer, read: Callable[[object], T]) -> T:
        # In a thread: megabytes of JSON would hold the loop up.
        connection = self._connection
        server = AskedServer(self._source, connection.address, connection.key_file)
        return await asyncio.to_thread(_content, server, path, answer, read)


def _content(server: AskedServer, path: str, answer: Answer, read: Callable[[object], T]) -> T:
    content = content_of(server, answer)
    try:
        return read(content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SourceRefusedError(
            server.source,
            f"{path} at {server.address} has not the form of the Prometheus API "
            f"({type(error).__name__}: {str(error)[:100]}). See what stands there.",
        ) from None


def _filter(matching: Sequence[str], start: float | None, stop: float | None) -> Fields:
    period = [*_instant("start", start), *_instant("end", stop)]
    return [*(("match[]", selector) for selector in matching), *period]


def _instant(name: str, at: float | None) -> Fields:
    # All digits: an exponent, as Python's shortest form may have, is no time to a server.
    return [] if at is None else [(name, f"{at:.3f}")]
