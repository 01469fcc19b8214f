"""The settings of a process: the one place where environment variables are read."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator
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
        """What the states of one replica may take: the given MB, or an eighth of the memory."""
        if self.replica_state_mb:
            return self.replica_state_mb * MB
        return max(memory_bytes() // 8, 128 * MB)

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
