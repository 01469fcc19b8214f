import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from settings.aliases import ALIASES
from settings.environment import Settings
from settings.names import refusals, unread, variable

REPOSITORY = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| (.+?) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    return {name: default.strip("`") for name, default in ROW.findall(page)}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    older = [name for alias in ALIASES for name in alias.older]
    for name in [*map(variable, Settings.model_fields), *older]:
        monkeypatch.delenv(name, raising=False)


def test_every_setting_is_documented_and_nothing_else_is() -> None:
    assert set(documented()) == {variable(name) for name in Settings.model_fields}


def test_the_documented_defaults_are_the_real_ones() -> None:
    for name, field in Settings.model_fields.items():
        absent = "none" if name.startswith(("ray_", "prometheus_", "functions_")) else "embedded"
        told = absent if field.default is None else str(field.default)
        assert documented()[variable(name)] == told, name


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "REDIS_URL": "rediss://cache:6380/0",
        "CLICKHOUSE_URL": "https://history:8443",
        "MLFLOW_TRACKING_URI": "postgresql://registry/mlflow",
        "PROMETHEUS_URL": "http://prometheus:9090",
        "BALLAST_HOME": "/srv/ballast",
        "BALLAST_HOST": "10.0.0.1",
        "BALLAST_PORT": "9000",
        "BALLAST_REDIS_PREFIX": "blue:",
        "BALLAST_MAX_CONNECTIONS_PER_ADDRESS": "100",
        "BALLAST_SEED": "7",
        "BALLAST_HISTORY_DAYS": "30",
        "BALLAST_MEASUREMENT_DAYS": "90",
        "BALLAST_REDIS_MEMORY_MB": "512",
        "BALLAST_REPLICA_STATE_MB": "256",
        "BALLAST_PROFILE": "plain",
        "BALLAST_FORKED_WORKERS": "False",
        "RAY_USE_TLS": "True",
        "RAY_TLS_SERVER_CERT": "/etc/ray/node.crt",
        "RAY_TLS_SERVER_KEY": "/etc/ray/node.key",
        "RAY_TLS_CA_CERT": "/etc/ray/ca.crt",
        "BALLAST_FUNCTIONS_FOLDER": "/srv/functions",
        "EMERGENCY_MODE": "True",
        "ENABLE_SAFETY_CHECKS": "False",
        "BALLAST_LOG_LEVEL": "debug",
    }
    assert set(given) == {variable(name) for name in Settings.model_fields}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    read = {variable(name): str(getattr(settings, name)) for name in Settings.model_fields}
    assert read == given | {"BALLAST_LOG_LEVEL": "DEBUG"}


def test_a_fixed_name_is_not_read_under_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BALLAST_REDIS_URL", "redis://elsewhere")
    assert Settings().redis_url is None


def test_an_empty_variable_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    settings = Settings()
    assert settings.embedded_redis
    assert settings.redis_address == f"unix://{settings.paths.redis_socket}"


def test_home_is_absolute_from_wherever_it_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings().home == tmp_path / ".ballast"
    monkeypatch.setenv("BALLAST_HOME", "data")
    assert Settings().paths.history == tmp_path / "data" / "history"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BALLAST_PORT", "0"),
        ("BALLAST_PORT", "65536"),
        ("BALLAST_PORT", "eighty"),
        ("BALLAST_HISTORY_DAYS", "0"),
        ("BALLAST_SEED", "-1"),
        ("BALLAST_REDIS_PREFIX", "ballast"),
        ("BALLAST_REDIS_PREFIX", "a:b:"),
        ("BALLAST_REDIS_PREFIX", ":"),
        ("BALLAST_REDIS_PREFIX", "a b:"),
        ("BALLAST_REDIS_PREFIX", "*:"),
        ("BALLAST_LOG_LEVEL", "LOUD"),
        ("REDIS_URL", "http://cache"),
        ("CLICKHOUSE_URL", "clickhouse://history"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=f"(?i){name.removeprefix('BALLAST_')}") as refusal:
        Settings()
    (line,) = refusals(refusal.value)
    assert line.startswith(name)
    assert (value in line) == name.startswith("BALLAST_")


def test_tls_without_its_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", "/etc/ray/ca.crt")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    (line,) = refusals(refusal.value)
    assert line.startswith(
        "RAY_USE_TLS is '1': TLS also needs RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY"
    )
    monkeypatch.setenv("RAY_USE_TLS", "0")
    assert not Settings().ray_use_tls


def test_passwords_are_neither_shown_nor_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@cache")
    assert "hunter2" not in repr(Settings())
    monkeypatch.setenv("REDIS_URL", "http://:hunter2@cache")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "hunter2" not in str(refusal.value)
    assert "hunter2" not in "".join(refusals(refusal.value))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BALLAST_PROT", "did you mean BALLAST_PORT?"),
        ("BALLAST_REDIS_URL", "did you mean REDIS_URL?"),
        ("BALLAST_COLOUR_OF_THE_HOUSE", "docs/settings.md lists all"),
    ],
)
def test_a_variable_that_nothing_reads_is_named(name: str, says: str) -> None:
    (line,) = unread(["PATH", "BALLAST_RUN", "BALLAST_HOME", name])
    assert name in line
    assert says in line


def test_settings_load_without_the_heavy_libraries() -> None:
    told = "import sys, settings.environment; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", told], check=True, capture_output=True, text=True, cwd=REPOSITORY
    ).stdout.split()
    assert "pydantic_settings" in loaded
    assert {"ray", "mlflow", "redis", "numpy", "xgboost", "chdb"}.isdisjoint(loaded)


def test_what_the_examples_give_a_client_is_no_setting_that_has_no_effect() -> None:
    assert unread(["BALLAST_URL", "BALLAST_KEY"]) == []
