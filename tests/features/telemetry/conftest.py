from collections.abc import Iterator

import pytest

from features.telemetry.tables import create_measurements
from observability.clickhouse.embedded import EmbeddedClickhouse


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickhouse]:
    """Open one folder for a module; a process has one open at a time."""
    with EmbeddedClickhouse(tmp_path_factory.mktemp("telemetry") / "chdb") as store:
        yield store


@pytest.fixture
def empty(engine: EmbeddedClickhouse) -> EmbeddedClickhouse:
    """Hold the table, and nothing in it."""
    engine.execute("DROP TABLE IF EXISTS measurements SYNC")
    create_measurements(engine)
    return engine
