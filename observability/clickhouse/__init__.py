"""What the platform asks of ClickHouse, whichever way it is reached.

`EmbeddedClickhouse` (module `embedded`) runs the engine in this process; `HttpClickhouse` (module
`over_http`) talks to a server. Both take the same SQL, the same bindings and the same columns.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from observability.clickhouse.arrow import Column, Columns
from observability.clickhouse.binding import Params

__all__ = ["Clickhouse", "Column", "Columns", "Params", "open_store"]


class Clickhouse(Protocol):
    """A column store. Calls block: from an event loop, make them in a thread."""

    def query(self, sql: str, params: Params | None = None) -> list[dict[str, Any]]:
        """Rows as dicts. Values reach the SQL only through `{name:Type}` places, never as text."""
        ...

    def columns(self, sql: str, params: Params | None = None) -> Columns:
        """Answer the same as `query`, a numpy array a column: for history by the million rows."""
        ...

    def insert(self, table: str, columns: Mapping[str, Column]) -> None:
        """Append rows given as equally long columns; a 2-d array fills an Array column."""
        ...

    def execute(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        ...

    def close(self) -> None:
        """Let go of the store; a second call does nothing."""
        ...


def open_store(url: str | None, folder: Path) -> Clickhouse:
    """Reach the server behind the URL; without one, open the folder in this process."""
    if url is not None:
        from observability.clickhouse.over_http import HttpClickhouse  # noqa: PLC0415 - one of two

        return HttpClickhouse(url)
    # chDB is a large library; only the process that owns the folder loads it.
    from observability.clickhouse.embedded import EmbeddedClickhouse  # noqa: PLC0415 - see above

    return EmbeddedClickhouse(folder)
