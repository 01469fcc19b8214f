"""The `sources` section: where telemetry comes from, and what is known of the entities.

How series become metrics is said by the rules of features/sources/rules.py. All of it changes
without a restart.
"""

from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, HttpUrl, field_validator, model_validator

from features.candidates.bounds import CandidateBounds
from features.sources.candles.rules import TIMEFRAMES, CandleMapping, Symbol
from features.sources.clickhouse.rules import Query
from features.sources.kafka.config import KafkaTopic
from features.sources.logs.config import LineRules, LogRules
from features.sources.rules import Mapping
from settings.frozen import Frozen

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
# Shorter ones would hold one sample or none of what is scraped every 15 s.
Cadence = Annotated[int, Field(ge=15, le=3600, multiple_of=15)]
Exchange = Annotated[str, Field(pattern=r"^[A-Z]{4}$")]
"""The ISO 10383 code of an exchange."""


def _is_more_than_a_place(url: HttpUrl) -> bool:
    """Tell whether a URL holds a secret, or would swallow the path that is asked below it."""
    swallows = url.query is not None or url.fragment is not None
    return swallows or bool(url.username or url.password)


class _Source(Frozen):
    cadence_seconds: Cadence = 60
    paused: bool = False


class _PolledSource(_Source):
    forced: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12}$",
        description="The id of a mapping that is followed although it is out of bounds, as "
        "`ballast sources list` shows it.",
    )
    verify_tls: bool = True
    history_days: int = Field(60, ge=0, le=3650, description="How much of the past is fetched.")


class _TokenSource(_PolledSource):
    """A source behind a URL, whose server may ask for a bearer token."""

    url: HttpUrl
    token_file: str | None = Field(
        None, description="A file that holds a bearer token; the configuration holds no secret."
    )

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: HttpUrl) -> HttpUrl:
        if _is_more_than_a_place(url):
            raise ValueError(
                "the URL may hold no user, password, query or fragment: name a token_file"
            )
        return url


class PrometheusSource(_TokenSource):
    """A Prometheus, or what speaks its API, that is asked."""

    kind: Literal["prometheus"] = "prometheus"
    mapping: Mapping


class ClickhouseSource(_PolledSource):
    """Tables of the user's own ClickHouse, a server or a folder of chDB, which are only read."""

    kind: Literal["clickhouse"] = "clickhouse"
    url: HttpUrl | None = None
    folder: str | None = Field(
        None, min_length=1, max_length=1000, description="A folder of chDB in place of a server."
    )
    query: Query
    database: str | None = Field(
        None, max_length=200, description="Of tables that the SQL names without one."
    )
    user: str | None = Field(None, max_length=200)
    password_file: str | None = Field(
        None, description="A file that holds a password; the configuration holds no secret."
    )
    lateness_seconds: int = Field(
        10, ge=0, le=3600, description="How long after its interval a row may be inserted."
    )

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: HttpUrl | None) -> HttpUrl | None:
        if url is not None and _is_more_than_a_place(url):
            raise ValueError(
                "the URL may hold no user, password, query or fragment: name a user, a "
                "password_file and a database"
            )
        return url

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if (self.url is None) == (self.folder is None):
            raise ValueError("name either the url of a server or the folder of a chDB")
        return self


class CandlesSource(_TokenSource):
    """The candles of a market, of an upstream that has them under /candles."""

    kind: Literal["candles"] = "candles"
    symbols: tuple[Symbol, ...] = Field(
        min_length=1, max_length=1000, description="Each of them becomes an entity."
    )
    mapping: CandleMapping
    exchange: Exchange | None = Field(
        None,
        description="The exchange outside of whose hours no candle is missing, by its ISO 10383 "
        "code; null: the market is open all the time.",
    )
    lateness_seconds: int = Field(
        5, ge=0, le=3600, description="How long after its end a candle may be published."
    )
    most_candles: int = Field(
        500, ge=10, le=10_000, description="So many are asked for at once, of each symbol."
    )

    @field_validator("cadence_seconds")
    @classmethod
    def _is_a_timeframe(cls, seconds: int) -> int:
        if seconds not in TIMEFRAMES:
            raise ValueError(
                f"candles are of {', '.join(map(str, TIMEFRAMES))} seconds: give one of these"
            )
        return seconds

    @field_validator("symbols")
    @classmethod
    def _names_each_once(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(symbols)) < len(symbols):
            again = next(each for each in symbols if symbols.count(each) > 1)
            raise ValueError(f"{again!r} is there more than once: name each symbol once")
        return symbols


QueriedSource = PrometheusSource | ClickhouseSource | CandlesSource
"""A source that is asked for any time, by rules that may be corrected."""


class _SentSource(_Source):
    keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")], ...] = Field(
        (),
        description="The ids of the keys that may write to it, as `ballast key list` shows them; "
        "none means every key of the role client.",
    )


class PushSource(_SentSource):
    """Rows that clients post to /telemetry under this source's name."""

    kind: Literal["push"] = "push"
    overwrites: bool = Field(
        default=False,
        description="Whether its numbers count where a source of another kind measures the same "
        "metric of the entity.",
    )


class RemoteWriteSource(_SentSource):
    """Samples that a Prometheus writes to /api/v1/write."""

    kind: Literal["remote_write"] = "remote_write"
    mapping: Mapping
    prometheus: Literal[2, 3] = Field(
        3, description="The major release whose rules rates and quantiles follow, to the digit."
    )

    @model_validator(mode="after")
    def _can_be_evaluated(self) -> Self:
        rules = self.mapping.metrics
        if asked := sorted(name for name, rule in rules.items() if rule.kind == "expression"):
            raise ValueError(
                f"{', '.join(asked)}: only a Prometheus that is asked can run an expression; give "
                "a rule of another kind, or connect it with `ballast connect prometheus`"
            )
        return self


class _LinesSource(_Source):
    lateness_seconds: int = Field(
        5, ge=0, le=600, description="How long after its interval a line may be written."
    )

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        # Else the first interval that is asked for would not end before the next one is over.
        if self.lateness_seconds > 0.75 * self.cadence_seconds:
            raise ValueError(
                f"lines may be {self.lateness_seconds} s late in intervals of "
                f"{self.cadence_seconds} s: give a cadence that is a third longer at least"
            )
        return self


class LogsSource(_LinesSource):
    """Files of JSON lines that the machine of the history can read."""

    kind: Literal["logs"] = "logs"
    lines: LogRules
    history_days: int = Field(7, ge=0, le=365, description="How much of the past is taken.")
    past_mb: int = Field(
        64, ge=0, le=4096, description="How much is read of the end of each file that is there."
    )


class PostedLogsSource(_LinesSource, _SentSource):
    """JSON lines that clients post to /telemetry/logs under this source's name."""

    kind: Literal["posted_logs"] = "posted_logs"
    lines: LineRules


class KafkaSource(KafkaTopic, _Source):
    """Messages of a topic of Kafka, each with rows as clients post them."""

    kind: Literal["kafka"] = "kafka"
    history_days: int = Field(
        7, ge=0, le=3650, description="How much of the past is read; 0: only what is to come."
    )


SourceConfig = Annotated[
    PrometheusSource
    | ClickhouseSource
    | CandlesSource
    | PushSource
    | RemoteWriteSource
    | LogsSource
    | PostedLogsSource
    | KafkaSource,
    Field(discriminator="kind"),
]


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError(f"{zone!r} is no time zone: give one such as 'Europe/London'")
    return zone


class EntityFacts(Frozen):
    """What nobody can measure of an entity; one that is not listed has none of it."""

    exchange: Exchange | None = Field(
        None,
        description="The exchange whose calendar its load follows, by its ISO 10383 code.",
    )
    time_zone: Annotated[str, AfterValidator(_known_zone)] | None = None
    target_ms: float | None = Field(None, gt=0, description="The latency objective.")


class SourcesConfig(Frozen):
    """Every source by its name, and the entities of which something is stated."""

    named: dict[Annotated[str, Field(pattern=NAME)], SourceConfig] = Field(default_factory=dict)
    entities: dict[Annotated[str, Field(min_length=1, max_length=200)], EntityFacts] = Field(
        default_factory=dict
    )
    publishing: CandidateBounds = Field(
        CandidateBounds(),
        description="How far a changed mapping of a source that is asked may be from the one "
        "before and take its place.",
    )

    @model_validator(mode="after")
    def _demo_is_ours(self) -> Self:
        if "demo" in self.named:
            raise ValueError("the name 'demo' is the simulator's: give the source another one")
        return self
