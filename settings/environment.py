"""The settings of a process: the one place where environment variables are read."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from settings import aliases
from settings.machine import MB, memory_bytes
from settings.paths import Paths
from settings.redis_prefix import DEFAULT_PREFIX, PREFIX_PATTERN


def _with_scheme(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            # The value is left out of the message: it may hold a password.
            raise ValueError(f"the URL must start with one of {', '.join(schemes)}")
        return url

    return AfterValidator(check)


def setting(default: Any, meaning: str, *, read_by: str, **rules: Any) -> Any:
    """Declare one setting with what `make generate` writes of it into the documents."""
    return Field(default, description=meaning, json_schema_extra={"read_by": read_by}, **rules)


RedisUrl = Annotated[str, _with_scheme("redis", "rediss", "unix")]
HttpUrl = Annotated[str, _with_scheme("http", "https")]


class Settings(BaseSettings):
    """Read once at the start of a process; docs/settings.md and .env.example are made of this.

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

    redis_url: RedisUrl | None = setting(
        None,
        "Where configuration, keys, cached features and the ledger's stream live: `redis://`, "
        "`rediss://` or `unix://`.",
        read_by="every process",
        validation_alias="REDIS_URL",
        repr=False,
    )
    clickhouse_url: HttpUrl | None = setting(
        None,
        "Where telemetry and decisions are kept for analysis: `http://` or `https://`.",
        read_by="the history actor",
        validation_alias="CLICKHOUSE_URL",
        repr=False,
    )
    mlflow_tracking_uri: str | None = setting(
        None,
        "The model registry, in any form that MLflow takes.",
        read_by="replicas that load models; training",
        validation_alias="MLFLOW_TRACKING_URI",
        repr=False,
    )
    prometheus_url: str | None = setting(
        None,
        "A Prometheus that `ballast up` looks at on the first start, and connects where it "
        "measures the rate and the latency of requests; else it says which command connects it. "
        "Later it counts for nothing ([more](sources/prometheus.md#by-a-variable)).",
        read_by="`ballast up`",
        validation_alias="PROMETHEUS_URL",
        repr=False,
    )
    home: Path = setting(
        Path(".ballast"),
        "The folder for everything the embedded engines keep; made absolute when it is read.",
        read_by="every process",
    )
    host: str = setting(
        "127.0.0.1",
        "The address the public port is bound to. Anything but loopback opens the platform to the "
        "network.",
        read_by="the front; gateways, whose `/docs` then needs a key",
    )
    port: int = setting(8000, "The public port.", read_by="the front; `ballast up`", ge=1, le=65535)
    redis_prefix: str = setting(
        DEFAULT_PREFIX,
        "The prefix of every name in Redis: a word and a colon. Two platforms that share "
        "a Redis need different ones.",
        read_by="every process",
        pattern=PREFIX_PATTERN,
    )
    max_connections_per_address: int = setting(
        6000,
        "How many connections one client address may hold, at most as many as the "
        "process's file descriptors allow in all ([what is "
        "bounded](operations.md#connections)). All clients behind one reverse proxy "
        "share one address.",
        read_by="the front",
        ge=1,
    )
    seed: int = setting(
        0,
        "The seed of everything random in the simulator and in training.",
        read_by="the history actor; training",
        ge=0,
    )
    history_days: int = setting(
        60,
        "How many days of telemetry the simulator writes on a fresh machine, 1 to 3650.",
        read_by="the history actor; training",
        ge=1,
        le=3650,
    )
    measurement_days: int = setting(
        400,
        "How many days measurements, and what is noted of the features that were published of "
        "them, are kept, 0 for ever. Older ones are dropped when ClickHouse "
        "merges its files, within some hours, and no source is asked for them. More than a year "
        "is what it takes to compare with the same season.",
        read_by="the history actor",
        ge=0,
        le=36_500,
    )
    functions_folder: Path | None = setting(
        None,
        "The folder of modules whose functions compute features of your own. Their code is run, "
        "so it and all in it must belong to root or to the platform's user, and be writable by "
        "nobody else ([more](features.md#functions)).",
        read_by="the history actor",
    )
    redis_memory_mb: int = setting(
        0,
        "How much memory the embedded Redis may use; 0 is a quarter of the machine's. "
        "From 80 % on the platform reports that it is degraded; from 90 % on no new "
        "stream, experiment or study can be created.",
        read_by="`ballast up`",
        ge=0,
    )
    replica_state_mb: int = setting(
        0,
        "How much memory the states of one anomaly or optimization replica may use, half "
        "of it for studies, or for the streams of telemetry; 0 is a 32nd of the machine's, "
        "and at least 128. Beyond it the states that were idle longest leave memory; they are "
        "read from Redis when they are needed again.",
        read_by="anomaly and optimization replicas",
        ge=0,
    )
    profile: Literal["fast", "plain"] = setting(
        "fast",
        "`fast`: batches travel over Ballast's own connections, the inference paths "
        "bypass Serve's ingress, answers leave in one write, and workers are forked. `plain`: "
        "everything uses what Ray, Serve and uvicorn provide "
        "([which is for what](decisions/two-transports.md)).",
        read_by="every process of the cluster; `ballast up`",
    )
    forked_workers: bool = setting(
        True,
        "Whether Ray's workers are forked from one process that has everything imported "
        "([why](decisions/the-zygote.md)). `False` starts each worker as Ray does, and "
        "so does `BALLAST_PROFILE=plain`: slower, and the first thing to try when a "
        "worker dies at its start.",
        read_by="`ballast up`",
    )
    ray_tls_server_cert: Path | None = setting(
        None,
        "This node's certificate; its alternative names must include the node's address. Ray reads "
        "the same files.",
        read_by="Ray; replicas and gateways",
        validation_alias="RAY_TLS_SERVER_CERT",
    )
    ray_tls_server_key: Path | None = setting(
        None,
        "The key of that certificate.",
        read_by="Ray; replicas and gateways",
        validation_alias="RAY_TLS_SERVER_KEY",
    )
    ray_tls_ca_cert: Path | None = setting(
        None,
        "The certificate of the authority that issued those of all nodes.",
        read_by="Ray; replicas and gateways",
        validation_alias="RAY_TLS_CA_CERT",
    )
    ray_use_tls: bool = setting(
        False,
        "Whether all traffic within the cluster is encrypted: Ray's own, and the "
        "connections between gateways and stages. Both ends must then present a "
        "certificate of the cluster's authority.",
        read_by="Ray; replicas and gateways",
        validation_alias="RAY_USE_TLS",
    )
    emergency_mode: bool = setting(
        False,
        "Whether `ballast up` or `ballast bootstrap` begins with [emergency mode](safety.md) on: "
        "every family answers its fallback until an admin ends it. `False` ends none.",
        read_by="`ballast up`; `ballast bootstrap`",
        validation_alias="EMERGENCY_MODE",
    )
    enable_safety_checks: bool = setting(
        True,
        "`False` asks to answer without the limits of the safety policy. It has an effect only on "
        "families for which an admin [confirms it](safety.md#answers-without-checks), and every "
        "answer then says so.",
        read_by="safety replicas; gateways",
        validation_alias="ENABLE_SAFETY_CHECKS",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = setting(
        "INFO",
        "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.",
        read_by="replicas, the history actor, the front",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read older names last, so that our own count first; nothing is read from files."""
        del dotenv_settings, file_secret_settings
        older = InitSettingsSource(settings_cls, dict(aliases.values(os.environ)))
        return init_settings, env_settings, older

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        # Replicas run in other working directories than the command line does.
        return home.expanduser().absolute()

    @field_validator("functions_folder", mode="after")
    @classmethod
    def _is_absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError("give the whole path, from / on: what lies there is run")
        return folder

    @field_validator("ray_use_tls", mode="after")
    @classmethod
    def _has_its_files(cls, use: bool, info: ValidationInfo) -> bool:
        files = ("ray_tls_server_cert", "ray_tls_server_key", "ray_tls_ca_cert")
        lacking = [name.upper() for name in files if info.data.get(name) is None]
        if use and lacking:
            raise ValueError(f"TLS also needs {', '.join(lacking)}")
        return use

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, level: object) -> object:
        return level.upper() if isinstance(level, str) else level

    @property
    def plain(self) -> bool:
        """Whether everything goes the way that Ray and Serve have for it."""
        return self.profile == "plain"

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
