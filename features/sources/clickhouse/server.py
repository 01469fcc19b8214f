"""A ClickHouse server, asked over its HTTP interface.

https://clickhouse.com/docs/interfaces/http
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa

from features.errors import KeyRefusedError, SourceRefusedError
from features.sources.clickhouse.engine import MOST_BYTES, bounds
from features.sources.clickhouse.refusals import refusal
from features.sources.http.connection import Answer, Connection, Limits
from features.sources.http.key import Key, SecretFile

# The server gives up a little before we do, so that it says so itself.
SOONER_SECONDS: Final = 2.0
DEFAULT_LIMITS: Final = Limits(most_bytes=2 * MOST_BYTES)
# The failure is then in the status line, and not in the middle of an answer.
_WHOLE_ANSWER: Final = (("default_format", "ArrowStream"), ("wait_end_of_query", "1"))
# What we no longer wait for is not to go on there.
_STOP_WITH_US: Final = {"cancel_http_readonly_queries_on_client_close": "1"}
_LEVEL: Final = "SELECT toInt64(getSetting('readonly')) AS readonly"
_MAY_ONLY_READ: Final = 1
_MAY_SET: Final = 2


class ClickhouseServer:
    """One server and its user; what is asked may only read, whatever the user may do."""

    def __init__(
        self,
        source: str,
        url: str,
        *,
        random: Callable[[], float],
        user: str | None = None,
        password_file: str | Path | None = None,
        database: str | None = None,
        verify_tls: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._source = source
        self._database = () if database is None else (("database", database),)
        self._seconds = max(limits.answer_seconds - SOONER_SECONDS, limits.answer_seconds / 2)
        self._settings: dict[str, str] | None = None
        self._connection = Connection(
            source,
            url,
            key=None if password_file is None else _password(password_file),
            verify_tls=verify_tls,
            limits=limits,
            random=random,
            headers={} if user is None else {"X-ClickHouse-User": user},
        )

    async def ask(self, sql: str, params: Mapping[str, str]) -> pa.Table:
        if self._settings is None:
            self._settings = await self._allowed()
        try:
            return await self._ask(sql, params, self._settings)
        except (SourceRefusedError, KeyRefusedError):
            # What the user may set may be another thing by now.
            self._settings = None
            raise

    async def close(self) -> None:
        await self._connection.close()

    async def _allowed(self) -> dict[str, str]:
        """Give the settings that go with each question.

        A user who may only read may set nothing; then the bounds are ours alone.
        """
        found = await self._ask(_LEVEL, {}, {})
        level = found.column("readonly")[0].as_py()
        if level == _MAY_ONLY_READ:
            return {"readonly": str(_MAY_ONLY_READ)}  # which changes nothing there
        return bounds(self._seconds, _MAY_SET) | _STOP_WITH_US

    async def _ask(
        self, sql: str, params: Mapping[str, str], settings: Mapping[str, str]
    ) -> pa.Table:
        bound = ((f"param_{name}", text) for name, text in params.items())
        fields = [*_WHOLE_ANSWER, *self._database, *settings.items(), *bound]
        answer = await self._connection.ask("POST", "", fields, sql.encode())
        # In a thread: what is megabytes would hold the loop up.
        return await asyncio.to_thread(_table, self._source, answer)


def _table(source: str, answer: Answer) -> pa.Table:
    if answer.status != 200 or "x-clickhouse-exception-code" in answer.headers:  # noqa: PLR2004 - HTTP's own
        raise refusal(source, answer)
    try:
        return pa.ipc.open_stream(answer.body).read_all()
    except (pa.ArrowInvalid, OSError):
        raise SourceRefusedError(
            source,
            "its answer is no ArrowStream. See whether a ClickHouse stands at its url, and leave "
            "FORMAT out of its SQL.",
        ) from None


def _password(file: str | Path) -> Key:
    return Key(SecretFile(file), "password_file", "X-ClickHouse-Key")
