from pathlib import Path

import pytest

from launch.cluster import STARTUP, environment

CALLBACK = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"


@pytest.mark.parametrize("plain", [False, True])
def test_only_fast_puts_something_of_ours_before_ray_and_serve(
    plain: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    found = environment(tmp_path, tmp_path, plain=plain)
    assert (CALLBACK in found) is not plain
    assert (str(STARTUP) in found.get("PYTHONPATH", "")) is not plain
    assert found["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
