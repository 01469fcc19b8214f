"""A ClickHouse server over its HTTP interface."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import httpx

from observability.clickhouse import arrow
from observability.clickhouse.binding import Params, bound, insert_target
from observability.errors import ClickhouseUnavailableError, QueryRejectedError

# The server then reports a failure in the status line, not in the middle of a streamed answer.
_WHOLE_ANSWER = {"wait_end_of_query": "1", "default_format": "ArrowStream"}


class HttpClickhouse:
    """The server behind a URL such as `http://user:password@host:8123/?database=ballast`."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        address = httpx.URL(url)
        self._settings = {**_WHOLE_ANSWER, **dict(address.params)}
        # The password goes into a header, so that no access log or error message shows it.
        self._client = httpx.Client(
            base_url=address.copy_with(username=None, password=None, query=None),
            headers=_credentials(address),
            timeout=timeout_s,
        )

    def query(self, sql: str, params: Params | None = None) -> list[dict[str, Any]]:
        return arrow.rows(self._ask(sql, params))

    def columns(self, sql: str, params: Params | None = None) -> arrow.Columns:
        return arrow.arrays(self._ask(sql, params))

    def insert(self, table: str, columns: Mapping[str, arrow.Column]) -> None:
        statement = f"{insert_target(table, columns)} FORMAT ArrowStream"
        self._send({"query": statement}, arrow.stream(columns))

    def execute(self, sql: str) -> None:
        self._send({}, sql.encode())

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, sql: str, params: Params | None) -> bytes:
        named = {f"param_{name}": text for name, text in bound(params).items()}
        return self._send(named, sql.encode())

    def _send(self, arguments: Mapping[str, str], body: bytes | Iterable[bytes]) -> bytes:
        try:
            answer = self._client.post("/", params={**self._settings, **arguments}, content=body)
        except (httpx.TransportError, RuntimeError) as error:  # RuntimeError: the client is closed
            raise ClickhouseUnavailableError(
                f"ClickHouse at {self._client.base_url} does not answer: {error!r}"
            ) from error
        if answer.is_success:
            return answer.content
        raise _refusal(answer)


def _credentials(address: httpx.URL) -> dict[str, str]:
    if not address.username:
        return {}
    return {"X-ClickHouse-User": address.username, "X-ClickHouse-Key": address.password}


def _refusal(answer: httpx.Response) -> ClickhouseUnavailableError | QueryRejectedError:
    """Tell a statement at fault from a server or a proxy that cannot serve now."""
    message = f"ClickHouse answered {answer.status_code}: {answer.text[:500].strip()}"
    if "X-ClickHouse-Exception-Code" in answer.headers:
        return QueryRejectedError(message)
    return ClickhouseUnavailableError(message)
