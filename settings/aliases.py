"""The names that earlier back ends gave to some settings: taken where our own name is not set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

HTTP_PORT = "8123"
HTTPS_PORTS = ("443", "8443")
NATIVE_PORTS = ("9000", "9440")


@dataclass(frozen=True, slots=True)
class Alias:
    """One setting of ours, and the older names that say the same; the first one decides."""

    key: str  # as the settings' model is given it
    ours: str
    older: tuple[str, ...]
    value: Callable[[Mapping[str, str]], str]
    note: str = ""

    def given(self, environment: Mapping[str, str]) -> list[str]:
        """Name the older variables that are set; an empty one counts as absent."""
        return [name for name in self.older if environment.get(name)]

    def is_taken(self, environment: Mapping[str, str]) -> bool:
        return bool(environment.get(self.older[0])) and not self.is_overruled(environment)

    def is_overruled(self, environment: Mapping[str, str]) -> bool:
        # As pydantic reads our own names: whatever their case.
        return any(value and name.upper() == self.ours for name, value in environment.items())


def _same(key: str, ours: str, older: str) -> Alias:
    return Alias(key, ours, (older,), lambda environment: environment[older])


def _clickhouse_url(environment: Mapping[str, str]) -> str:
    host, port = environment["CLICKHOUSE_HOST"], environment.get("CLICKHOUSE_PORT") or HTTP_PORT
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if port in HTTPS_PORTS else 'http'}://{bracketed}:{port}"


ALIASES = (
    _same("host", "BALLAST_HOST", "API_HOST"),
    _same("port", "BALLAST_PORT", "API_PORT"),
    _same("log_level", "BALLAST_LOG_LEVEL", "LOG_LEVEL"),
    Alias(
        "CLICKHOUSE_URL",
        "CLICKHOUSE_URL",
        ("CLICKHOUSE_HOST", "CLICKHOUSE_PORT"),
        _clickhouse_url,
        "The port is the HTTP port, 8123 by default; ports 443 and 8443 use HTTPS. "
        "ClickHouse's native ports, 9000 and 9440, do not answer HTTP.",
    ),
)


def values(environment: Mapping[str, str]) -> dict[str, str]:
    """Give what the older names say, by the settings' own keys."""
    return {each.key: each.value(environment) for each in ALIASES if each.is_taken(environment)}


def warnings(environment: Mapping[str, str]) -> list[str]:
    """Say of each older name whether it was taken, and in which name's place."""
    return [
        _warning(each, " and ".join(given), environment)
        for each in ALIASES
        if (given := each.given(environment))
    ]


def _warning(alias: Alias, names: str, environment: Mapping[str, str]) -> str:
    if alias.is_overruled(environment):
        return f"{names}: ignored, because {alias.ours} is set."
    if not alias.is_taken(environment):
        return f"{names}: ignored, because {alias.older[0]} is not set."
    taken = f"{names}: an older name, used as {alias.ours}. Set {alias.ours} instead."
    if environment.get("CLICKHOUSE_PORT") in NATIVE_PORTS and "CLICKHOUSE_PORT" in alias.older:
        taken += " ClickHouse's native port does not answer HTTP: its usual HTTP port is 8123."
    return taken
