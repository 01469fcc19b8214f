"""Opens the column store that the settings name."""

from pathlib import Path

from observability.clickhouse import Clickhouse


def open_store(url: str | None, folder: Path) -> Clickhouse:
    """Reach the server behind the URL; without one, open the folder in this process."""
    if url is not None:
        from observability.clickhouse.over_http import HttpClickhouse  # noqa: PLC0415 - one of two

        return HttpClickhouse(url)
    # chDB is a large library; only the process that owns the folder loads it.
    from observability.clickhouse.embedded import EmbeddedClickhouse  # noqa: PLC0415 - see above

    return EmbeddedClickhouse(folder)
