"""The settings of a process: the one place where environment variables are read."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config_store.machine import MB, memory_bytes
from config_store.paths import Paths
from settings.redis_prefix import DEFAULT_PREFIX, PREFIX_PATTERN


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            # The value is left out of the message: it may hold a password.
            raise ValueError(f"the URL must start with one of {', '.join(schemes)}")
        return url

    return AfterValidator(check)


# What the launcher tells its own processes.
NOT_FOR_USERS = frozenset({"BALLAST_RUN", "BALLAST_ZYGOTE", "BALLAST_FRONT"})

RedisUrl = Annotated[str, _with_scheme("redis", "rediss", "unix")]
HttpUrl = Annotated[str, _with_scheme("http", "https")]


class Settings(BaseSettings):
    """Read once at the start of a process; docs/settings.md tells what each is for.

    A URL that is absent means the embedded engine. URLs stay out of the repr, for they may hold
    passwords, and a refused value stays out of the error for the same reason.
    """

    model_config = SettingsConfigDict(
        env_prefix="BALLAST_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
    )

    redis_url: RedisUrl | None = Field(None, validation_alias="REDIS_URL", repr=False)
    clickhouse_url: HttpUrl | None = Field(None, validation_alias="CLICKHOUSE_URL", repr=False)
    mlflow_tracking_uri: str | None = Field(
        None, validation_alias="MLFLOW_TRACKING_URI", repr=False
    )
    home: Path = Path(".ballast")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    redis_prefix: str = Field(DEFAULT_PREFIX, pattern=PREFIX_PATTERN)
    max_connections_per_address: int = Field(6000, ge=1)
    seed: int = Field(0, ge=0)
    history_days: int = Field(60, ge=1, le=3650)
    redis_memory_mb: int = Field(0, ge=0)
    replica_state_mb: int = Field(0, ge=0)
    forked_workers: bool = True
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        # Replicas run in other working directories than the command line does.
        return home.expanduser().absolute()

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @property
    def paths(self) -> Paths:
        return Paths(self.home)

    @property
    def embedded_redis(self) -> bool:
        return self.redis_url is None

    @property
    def redis_memory_bytes(self) -> int:
        """The embedded Redis's limit: the given one, or a quarter of the machine's memory."""
        if self.redis_memory_mb:
            return self.redis_memory_mb * MB
        return max(memory_bytes() // 4, 256 * MB)

    @property
    def replica_state_bytes(self) -> int:
        """What the states of one replica may take: the given MB, or a 32nd of the memory."""
        if self.replica_state_mb:
            return self.replica_state_mb * MB
        return max(memory_bytes() // 32, 128 * MB)

    @property
    def tracking_uri(self) -> str:
        """The model registry's address: the given one, or SQLite under the home directory."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.paths.mlflow_db}"

    @property
    def redis_address(self) -> str:
        """The URL to open Redis with, be it the given one or the embedded one's socket."""
        return self.redis_url or f"unix://{self.paths.redis_socket}"


def variable(name: str) -> str:
    """Tell the environment variable that a setting is read from."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"BALLAST_{name.upper()}"


VARIABLES = {variable(name): name for name in Settings.model_fields}


def refusals(error: ValidationError) -> list[str]:
    """Say of each refused variable what it was and why; what may hold a password is left out."""
    lines = []
    for detail in error.errors():
        # Pydantic names a field by its alias where it has one, and by its own name elsewhere.
        given = str(detail["loc"][0])
        name = VARIABLES.get(given, given)
        shown = f" is {detail['input']!r}" if Settings.model_fields[name].repr else ""
        why = detail["msg"].removeprefix("Value error, ")
        lines.append(f"{variable(name)}{shown}: {why}. See docs/settings.md.")
    return lines


def unread(environment: Iterable[str]) -> list[str]:
    """Say of each variable that looks like a setting and is none what may have been meant."""
    prefix = str(Settings.model_config["env_prefix"])
    lines = []
    for given in sorted(environment):
        if not given.startswith(prefix) or given in VARIABLES or given in NOT_FOR_USERS:
            continue
        bare = given.removeprefix(prefix)
        near = [bare] if bare in VARIABLES else get_close_matches(given, VARIABLES, n=1)
        meant = f"did you mean {near[0]}?" if near else "docs/settings.md lists all."
        lines.append(f"{given} is not a setting, and nothing reads it: {meant}")
    return lines
