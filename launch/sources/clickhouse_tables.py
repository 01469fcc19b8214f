"""Looks at a ClickHouse that is to be connected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import HttpUrl, TypeAdapter, ValidationError

from config_store.sources import ClickhouseSource
from deployments.telemetry.building import clickhouse_engine
from features.sources.clickhouse.columns_used import Stated
from features.sources.clickhouse.engine import Engine
from features.sources.clickhouse.proposal import TableProposal, propose
from features.sources.clickhouse.rules import Query
from features.sources.clickhouse.template_columns import template_of
from launch.errors import LaunchError
from launch.sources.validation import checked, read_file, wrong

_URL: Final[TypeAdapter[HttpUrl]] = TypeAdapter(HttpUrl)
_QUERY: Final[TypeAdapter[Query]] = TypeAdapter(Query)
# What the other fields are checked with, before there is a query.
_ANY_QUERY: Final = _QUERY.validate_python(
    {
        "kind": "table",
        "table": "any",
        "entity": "any",
        "time": "any",
        "metrics": {"request_rate": {"kind": "rows"}},
    }
)


@dataclass(frozen=True, slots=True)
class ClickhouseTarget:
    """The ClickHouse that a user names."""

    name: str
    url: str
    """Or the folder of a chDB."""
    user: str | None
    password_file: Path | None
    database: str | None
    cadence_seconds: int
    lateness_seconds: int

    @property
    def folder(self) -> str | None:
        return None if "://" in self.url else str(Path(self.url).absolute())

    def source(self, query: Query) -> ClickhouseSource:
        file = None if self.password_file is None else str(self.password_file.absolute())
        folder = self.folder
        return ClickhouseSource(
            url=_URL.validate_python(self.url) if folder is None else None,
            folder=folder,
            user=self.user,
            password_file=file,
            database=self.database,
            cadence_seconds=self.cadence_seconds,
            lateness_seconds=self.lateness_seconds,
            query=query,
        )


def check_target(target: ClickhouseTarget) -> None:
    """Check what the user wrote, before anything is asked."""
    try:
        if target.folder is None:
            _refuse_secrets(_URL.validate_python(target.url))
    except ValidationError as refusal:
        raise wrong(refusal) from None
    checked(target.name, lambda: target.source(_ANY_QUERY))


def _refuse_secrets(url: HttpUrl) -> None:
    if url.username or url.password or url.query:
        raise LaunchError(
            "The URL may hold no user, password or database, as the configuration holds no "
            "secret: give --user, --password-file and --database."
        )


def read_query(file: Path) -> Query:
    """Read a query of the user's own, as JSON."""
    return read_file(file, "mapping", _QUERY.validate_json)


def read_sql(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise LaunchError(f"The SQL in {file} cannot be read: {error}.") from None


async def look_at(
    target: ClickhouseTarget, table: str | None, stated: Stated, now: datetime
) -> TableProposal:
    """Look at the tables, and propose what to make of the best of them."""
    async with _open_engine(target) as server:
        return await propose(
            server,
            now=now.timestamp(),
            cadence_seconds=target.cadence_seconds,
            database=target.database,
            table=table,
            stated=stated,
        )


async def look_at_sql(target: ClickhouseTarget, sql: str, stated: Stated, now: datetime) -> Query:
    """See which columns the user's SQL answers."""
    try:
        async with _open_engine(target) as server:
            return await template_of(
                server,
                sql,
                now=now.timestamp(),
                cadence_seconds=target.cadence_seconds,
                stated=stated,
            )
    except ValidationError as refusal:
        raise wrong(refusal) from None


@asynccontextmanager
async def _open_engine(target: ClickhouseTarget) -> AsyncIterator[Engine]:
    engine = clickhouse_engine(target.name, target.source(_ANY_QUERY))
    try:
        yield engine
    finally:
        await engine.close()
