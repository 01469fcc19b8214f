"""The older names of settings: what Settings makes of them, and what is said of them."""

import os

import pytest
from pydantic import ValidationError

from settings.aliases import ALIASES, warnings
from settings.environment import Settings
from settings.names import VARIABLES, refusals, variable


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    older = [name for alias in ALIASES for name in alias.older]
    for name in [*map(variable, Settings.model_fields), *older]:
        monkeypatch.delenv(name, raising=False)


def read(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> Settings:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_each_older_name_stands_in_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"API_HOST": "10.0.0.1", "API_PORT": "9000", "LOG_LEVEL": "warning"}
    given |= {"CLICKHOUSE_HOST": "history", "CLICKHOUSE_PORT": "8124"}
    assert set(given) == {name for alias in ALIASES for name in alias.older}
    settings = read(monkeypatch, given)
    assert (settings.host, settings.port, settings.log_level) == ("10.0.0.1", 9000, "WARNING")
    assert settings.clickhouse_url == "http://history:8124"
    said = warnings(os.environ)
    assert [line.partition(". ")[0] for line in said] == [
        "API_HOST: an older name, used as BALLAST_HOST",
        "API_PORT: an older name, used as BALLAST_PORT",
        "LOG_LEVEL: an older name, used as BALLAST_LOG_LEVEL",
        "CLICKHOUSE_HOST and CLICKHOUSE_PORT: an older name, used as CLICKHOUSE_URL",
    ]


@pytest.mark.parametrize("ours", ["BALLAST_PORT", "ballast_port"])
def test_our_own_name_wins(monkeypatch: pytest.MonkeyPatch, ours: str) -> None:
    assert read(monkeypatch, {"API_PORT": "9000", ours: "9001"}).port == 9001
    assert warnings(os.environ) == ["API_PORT: ignored, because BALLAST_PORT is set."]
    assert Settings(port=9002).port == 9002


def test_our_own_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"CLICKHOUSE_HOST": "old", "CLICKHOUSE_URL": "https://new:8443"}
    assert read(monkeypatch, given).clickhouse_url == "https://new:8443"
    (line,) = warnings(os.environ)
    assert line == "CLICKHOUSE_HOST: ignored, because CLICKHOUSE_URL is set."


def test_an_empty_name_of_either_kind_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {"API_PORT": "9000", "BALLAST_PORT": ""}).port == 9000
    assert read(monkeypatch, {"API_PORT": ""}).port == 8000
    assert warnings(os.environ) == []


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("history", "", "http://history:8123"),
        ("history", "8443", "https://history:8443"),
        ("::1", "8123", "http://[::1]:8123"),
        ("[::1]", "", "http://[::1]:8123"),
    ],
)
def test_host_and_port_of_clickhouse_make_a_url(
    monkeypatch: pytest.MonkeyPatch, host: str, port: str, url: str
) -> None:
    given = {"CLICKHOUSE_HOST": host, "CLICKHOUSE_PORT": port}
    assert read(monkeypatch, given).clickhouse_url == url


def test_a_port_alone_names_no_clickhouse(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, {"CLICKHOUSE_PORT": "8123"}).clickhouse_url is None
    assert warnings(os.environ) == ["CLICKHOUSE_PORT: ignored, because CLICKHOUSE_HOST is not set."]


def test_a_native_port_of_clickhouse_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    read(monkeypatch, {"CLICKHOUSE_HOST": "history", "CLICKHOUSE_PORT": "9000"})
    (line,) = warnings(os.environ)
    assert "its usual HTTP port is 8123" in line


@pytest.mark.parametrize(("name", "value"), [("API_PORT", "eighty"), ("LOG_LEVEL", "LOUD")])
def test_a_refused_value_is_refused_by_the_name_it_has(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        read(monkeypatch, {name: value})
    (line,) = refusals(refusal.value)
    assert line.startswith(f"{name} is {value!r}: ")


def test_what_is_taken_is_a_setting() -> None:
    assert {alias.ours for alias in ALIASES} <= set(VARIABLES)
