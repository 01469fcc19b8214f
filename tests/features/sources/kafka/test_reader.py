"""Partitions are read from where they were read to, whatever became of the log meanwhile.

Against the broker that the client's own library carries for tests, which has no log on a disk but
says of every offset whether it is there; and against a real one where a password is asked for.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from features.errors import SourceAwayError, SourceRefusedError
from features.sources.kafka import reader
from features.sources.kafka.batch import Batch, Message, Span
from features.sources.kafka.config import KafkaTopic
from features.sources.kafka.reader import TopicReader
from tests import scram_front
from tests.deployments.runtime.transport.tcp.certificates import Authority
from tests.kafka_broker import running
from tests.ports import any_free_port
from tests.tls_front import running as tls_front
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def broker_of_the_library() -> Iterator[str]:
    producer = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    found = producer.list_topics(timeout=PATIENCE_SECONDS)
    (broker,) = found.brokers.values()
    yield f"{broker.host}:{broker.port}"


@pytest.fixture
def address() -> Iterator[str]:
    with broker_of_the_library() as found:
        yield found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "WAIT_SECONDS", 0.2)


def produce(address: str, *bodies: bytes, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": address, "log_level": 0})
    for body in bodies:
        producer.produce("t", body, partition=partition)
    assert producer.flush(PATIENCE_SECONDS) == 0


@contextmanager
def reading(*addresses: str, **more: Any) -> Iterator[TopicReader]:
    topic = KafkaTopic.model_validate({"servers": addresses, "topic": "t"} | more)
    found = TopicReader("shop", topic)
    try:
        yield found
    finally:
        found.close()


def read_all(found: TopicReader) -> Batch:
    """Read until the ends of all partitions were seen."""
    messages: list[Message] = []
    spans: dict[int, Span] = {}
    complaints: list[Any] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found.all_read:
        assert time.monotonic() < deadline
        batch = found.read()
        messages += batch.messages
        spans |= {
            each: Span(spans.get(each, span).begin, span.end) for each, span in batch.spans.items()
        }
        complaints += batch.complaints
    return Batch(tuple(messages), spans, tuple(complaints))


def test_what_is_new_is_read_and_what_was_read_can_be_read_again(address: str) -> None:
    produce(address, b"a", b"b", b"c")
    produce(address, b"x", b"y", partition=1)
    with reading(address) as found:
        found.open({0: 1})
        batch = read_all(found)
        assert [each[:2] for each in batch.messages] == [(0, 1), (0, 2), (1, 0), (1, 1)]
        assert batch.spans == {0: Span(1, 3), 1: Span(0, 2)}
        produce(address, b"d")
        again = found.again({0: Span(0, 2), 1: Span(1, 1)})
        assert again.messages == (Message(0, 0, b"a"), Message(0, 1, b"b"))
        # It goes on where it was, not behind what was read again.
        assert [each.offset for each in read_all(found).messages] == [2, 3]


def test_a_topic_that_was_made_anew_is_read_from_its_beginning(address: str) -> None:
    produce(address, b"a", b"b")
    with reading(address) as found:
        found.open({0: 50, 1: 0})
        batch = read_all(found)
        assert [each.offset for each in batch.messages] == [0, 1]
        assert batch.spans[0] == Span(0, 2)
        (complaint,) = batch.complaints
        assert complaint.fault == "gap"
        assert "made anew" in complaint.example
        # Nothing of it was read before, so nothing is to be read again.
        assert found.again({0: Span(40, 50)}).messages == ()
        assert [each.offset for each in read_all(found).messages] == [0, 1]


def test_the_past_begins_with_what_is_there_or_with_what_is_to_come(address: str) -> None:
    produce(address, b"a", b"b", b"c")
    with reading(address) as found:
        to_come = found.starts(None)
        assert to_come[0] == 3
        assert found.newest_starts(8)[0] == 1  # of four partitions, two each
        found.open(to_come)
        produce(address, b"d")
        assert [each.body for each in read_all(found).messages] == [b"d"]


def test_a_broker_that_is_not_there_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "ANSWER_SECONDS", 0.5)
    with (
        reading(f"127.0.0.1:{any_free_port()}") as found,
        pytest.raises(SourceAwayError, match="Connection refused"),
    ):
        found.open({})


def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with (
        reading("127.0.0.1:9092") as found,
        pytest.raises(SourceRefusedError, match=r"make install-kafka.*ballast\[kafka\]"),
    ):
        found.open({})


def test_a_real_broker_is_read_over_tls_and_refuses_who_it_does_not_know(tmp_path: Path) -> None:
    """Its build forgets every user that it is told of, so nobody's password is right.

    What a right password does is seen in front of it, below.
    """
    authority = Authority(tmp_path / "tls")
    issued = authority.issue("127.0.0.1")
    password = tmp_path / "password"
    password.write_text("orange-tree\n")
    tls = {"tls": True, "ca_file": str(authority.file)}
    user = tls | {"user": "reader", "password_file": str(password)}
    with running(tmp_path) as broker, tls_front(broker.port, issued.own, issued.key) as port:
        address = f"127.0.0.1:{port}"
        broker.create("t")
        broker.produce("t", [b"a", b"b"])
        broker.kill()
        broker.start(known_as=address)
        with reading(address, **tls) as found:
            open_when_it_answers(found)
            assert [each.body for each in read_all(found).messages] == [b"b"]
        assert "TLS fails" in refused(address, {"tls": True})
        broker.kill()
        broker.start("--authentication", known_as=address)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            why = refused(address, user | {"mechanism": mechanism})
            assert "the user or the password is wrong" in why
            assert "orange-tree" not in why
        password.write_text("\n")
        assert "is empty" in refused(address, user)
        password.unlink()
        assert "No such file" in refused(address, user)


@pytest.mark.parametrize("mechanism", scram_front.MECHANISMS)
def test_a_user_of_the_broker_reads_by_the_right_password_alone_and_no_log_has_it(
    tmp_path: Path,
    mechanism: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The broker is a real one; who it does not know is turned away in front of it."""
    caplog.set_level(logging.DEBUG)
    password = tmp_path / "password"
    password.write_text("orange=tree, \u00fc\n", encoding="utf-8")
    user = {"user": "a=reader,1", "password_file": str(password), "mechanism": mechanism}
    users = {"a=reader,1": "orange=tree, \u00fc"}
    with running(tmp_path) as broker, scram_front.running(broker.port, users) as front:
        broker.create("t")
        broker.produce("t", [b"a", b"b"])
        broker.kill()
        broker.start(known_as=front.address)
        with reading(front.address, **user) as found:
            open_when_it_answers(found)
            assert [each.body for each in read_all(found).messages] == [b"b"]
        assert set(front.let_in) == {mechanism}
        password.write_text("apple-tree\n")
        let_in = len(front.let_in)
        why = refused(front.address, user)
        assert "the user or the password is wrong" in why
        assert front.turned_away
        assert len(front.let_in) == let_in
    written = capfd.readouterr()
    for text in (why, caplog.text, written.out, written.err, (tmp_path / "broker.log").read_text()):
        assert "orange=tree" not in text
        assert "apple-tree" not in text


def open_when_it_answers(found: TopicReader) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not found.is_open:
        try:
            found.open({0: 1})
        except SourceAwayError:
            found.close()
            assert time.monotonic() < deadline


def refused(address: str, access: dict[str, Any]) -> str:
    """Tell why a broker refuses, once it answers."""
    with reading(address, **access) as found:
        try:
            open_when_it_answers(found)
        except SourceRefusedError as refusal:
            return str(refusal)
    raise AssertionError("it refused nothing")
