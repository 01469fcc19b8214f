from pathlib import Path

import pytest

from settings.environment import Settings
from settings.machine import MB, memory_bytes


def test_a_container_has_what_it_is_given(tmp_path: Path) -> None:
    given, unlimited = tmp_path / "given", tmp_path / "unlimited"
    given.write_text("123456789\n")
    unlimited.write_text("max\n")
    assert memory_bytes((unlimited, given, tmp_path / "absent")) == 123456789
    assert memory_bytes((unlimited,)) > 123456789


def test_the_embedded_redis_gets_a_quarter_unless_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BALLAST_REDIS_MEMORY_MB", raising=False)
    assert Settings().redis_memory_bytes == max(memory_bytes() // 4, 256 * MB)
    monkeypatch.setenv("BALLAST_REDIS_MEMORY_MB", "300")
    assert Settings().redis_memory_bytes == 300 * MB
