"""An upstream of market data, as far as `/candles` goes."""

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from features.errors import (
    KeyRefusedError,
    SourceAwayError,
    SourceRefusedError,
    TooMuchAskedError,
    on_one_line,
)
from features.sources.candles.answers import Candles, Wanted, candles_of, rows_in
from features.sources.candles.rules import TIMEFRAMES, CandleNames, Question, TimeUnit
from features.sources.http.api import SourceApi
from features.sources.http.connection import Answer, Fields
from features.sources.source import Complaint

PATH: Final = "candles"
SYMBOLS_PATH: Final = "symbols"
_REASON_CHARACTERS: Final = 200


class CandleApi(SourceApi):
    """Asks an upstream for candles."""

    async def candles(
        self, wanted: Wanted, asked: Question, names: CandleNames, now: float
    ) -> tuple[Candles, tuple[Complaint, ...]]:
        """Give a symbol's candles, and what was wrong with those that were left out."""
        body = await self.raw(wanted, asked)
        # In a thread: thousands of candles would hold the loop up.
        return await asyncio.to_thread(self._read, body, names, wanted, now)

    async def raw(self, wanted: Wanted, asked: Question) -> bytes:
        """Give an answer as it came, for whoever has to find out how it is written."""
        return await self._body(PATH, fields_of(wanted, asked))

    async def symbols(self) -> bytes:
        """Give what the upstream says of the symbols that it knows, as it came."""
        return await self._body(SYMBOLS_PATH, ())

    async def _body(self, path: str, fields: Fields) -> bytes:
        answer = await self._connection.ask("GET", path, fields)
        if answer.status != HTTPStatus.OK:
            raise self._refusal(path, answer)
        return answer.body

    def _read(
        self, body: bytes, names: CandleNames, wanted: Wanted, now: float
    ) -> tuple[Candles, tuple[Complaint, ...]]:
        try:
            rows = rows_in(body, names)
        except (ValueError, TypeError) as error:
            raise SourceRefusedError(
                self._source,
                f"{PATH} at {self._connection.address} is not written as its mapping says: "
                f"{str(error)[:_REASON_CHARACTERS]}. Connect it anew, or correct its mapping.",
            ) from None
        return candles_of(rows, names, wanted, now)

    def _refusal(self, path: str, answer: Answer) -> Exception:
        status, where = answer.status, f"{path} at {self._connection.address}"
        said = f"it answered {status} for {where}{_reason(answer.body)}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return KeyRefusedError(self._source, f"{said}. {self._about_the_key()}")
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooMuchAskedError(self._source, said)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return SourceAwayError(self._source, f"{said}.")
        return SourceRefusedError(
            self._source, f"{said}. Give the url under which /{path} is, and symbols that it knows."
        )

    def _about_the_key(self) -> str:
        if self._connection.key_file is None:
            return "Put a bearer token into a file, and name that as the source's token_file."
        return f"See whether the key in its token_file {self._connection.key_file} is valid."


def fields_of(wanted: Wanted, asked: Question) -> Fields:
    """Give the parameters of a question."""
    return [
        (asked.symbol, wanted.symbol),
        (asked.timeframe, TIMEFRAMES[wanted.timeframe]),
        (asked.start, _written(wanted.start, asked.time_unit)),
        (asked.stop, _written(wanted.stop, asked.time_unit)),
        (asked.limit, str((wanted.stop - wanted.start) // wanted.timeframe)),
    ]


def _written(at: int, unit: TimeUnit) -> str:
    if unit == "iso":
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(at * 1000 if unit == "ms" else at)


def _reason(body: bytes) -> str:
    said = on_one_line(body[:_REASON_CHARACTERS].decode(errors="replace")).strip()
    return f": {said}" if said else ""
