from pathlib import Path

import pytest

from settings.environment import Settings
from tests.redis_server import RedisServer


@pytest.fixture
def settings(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Give the settings of a fresh home, with a Redis of its own."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "home"))
    return Settings()
