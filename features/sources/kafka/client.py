"""Opens Kafka's client, and puts its errors into sentences.

The client is librdkafka, which connects and fetches in threads of its own: it tries again after
longer and longer pauses, with jitter. It is an extra of this package, imported only here.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from features.errors import SourceAwayError, SourceRefusedError
from features.sources.addresses import why_name_refused
from features.sources.kafka.config import KafkaTopic, host_of

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError

NOT_INSTALLED = (
    "Kafka's client is not installed here. Install it with `make install-kafka`, or elsewhere with "
    "`pip install 'ballast[kafka]'`, and start the platform again"
)
# For one answer of a broker; librdkafka asks again within it.
ANSWER_SECONDS = 5.0
# What it fetches ahead, for all partitions together.
FETCHED_KIB = 16 * 1024
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 250, 10_000
_CRITICAL = 2  # of syslog

log = logging.getLogger(__name__)

# By their names: the numbers of librdkafka's own are no part of the protocol.
_REFUSALS: Final = {
    "_AUTHENTICATION": "the user or the password is wrong, or the mechanism is another one",
    "SASL_AUTHENTICATION_FAILED": "the user or the password is wrong",
    "UNSUPPORTED_SASL_MECHANISM": "the broker knows no such mechanism",
    "_SSL": "TLS fails: see ca_file, certificate_file and whether the port is one of TLS",
    "TOPIC_AUTHORIZATION_FAILED": "the user may not read the topic",
    "CLUSTER_AUTHORIZATION_FAILED": "the user may not read from the cluster",
    "UNKNOWN_TOPIC_OR_PART": "there is no such topic",
    "_UNKNOWN_TOPIC": "there is no such topic",
    "TOPIC_EXCEPTION": "the topic's name is not allowed",
}


def open_consumer(
    source: str, topic: KafkaTopic, on_error: Callable[["KafkaError"], None]
) -> "Consumer":
    """Make a consumer that joins no group and stores no offset; it asks no broker yet."""
    for server in topic.servers:
        if (why := why_name_refused(host_of(server))) is not None:
            raise SourceRefusedError(source, f"{server}: {why}.")
    try:
        from confluent_kafka import (  # noqa: PLC0415 - an extra: most platforms go without it
            Consumer,
            KafkaException,
        )
    except ModuleNotFoundError:
        raise SourceRefusedError(source, NOT_INSTALLED) from None
    settings: dict[str, Any] = {
        "bootstrap.servers": ",".join(topic.servers),
        "client.id": "ballast",
        # The library asks for a name, also where nobody joins.
        "group.id": f"ballast-{source}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": FETCHED_KIB,
        "fetch.max.bytes": FETCHED_KIB * 1024,
        "socket.timeout.ms": int(2 * ANSWER_SECONDS * 1000),
        "reconnect.backoff.ms": FIRST_PAUSE_MS,
        "reconnect.backoff.max.ms": LONGEST_PAUSE_MS,
        # It writes a line for each attempt in vain; what is wrong is said by the source's state.
        "log_level": _CRITICAL,
        "error_cb": on_error,
        **_security(source, topic),
    }
    try:
        return Consumer(settings, logger=log)
    except KafkaException as error:  # such as a file of TLS that cannot be read
        raise SourceRefusedError(source, str(error.args[0].str())) from None


def refusal(source: str, topic: KafkaTopic, error: "KafkaError") -> SourceRefusedError | None:
    """Say what must be changed; None where time alone may mend it."""
    reason = _REFUSALS.get(error.name())
    if reason is None:
        return None
    return SourceRefusedError(
        source, f"topic {topic.topic} at {', '.join(topic.servers)}: {reason} ({error.str()})"
    )


def away(source: str, topic: KafkaTopic, reason: str) -> SourceAwayError:
    return SourceAwayError(
        source, f"{', '.join(topic.servers)}: {reason}. It is asked again later."
    )


def _security(source: str, topic: KafkaTopic) -> dict[str, Any]:
    kind = "SSL" if topic.tls else "PLAINTEXT"
    if topic.user is None or topic.password_file is None:
        return {"security.protocol": kind, **_tls(topic)}
    return {
        "security.protocol": f"SASL_{kind}",
        "sasl.mechanism": topic.mechanism,
        "sasl.username": topic.user,
        "sasl.password": _password(source, topic.password_file),
        **_tls(topic),
    }


def _tls(topic: KafkaTopic) -> dict[str, Any]:
    if not topic.tls:
        return {}
    files = {
        "ssl.ca.location": topic.ca_file,
        "ssl.certificate.location": topic.certificate_file,
        "ssl.key.location": topic.key_file,
    }
    given = {name: file for name, file in files.items() if file is not None}
    return {"enable.ssl.certificate.verification": topic.verify_tls, **given}


def _password(source: str, file: str) -> str:
    try:
        password = Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceRefusedError(source, f"its password_file: {error}") from None
    if not password:
        raise SourceRefusedError(source, f"its password_file {file} is empty")
    return password
