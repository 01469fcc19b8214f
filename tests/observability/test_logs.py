import io
import json
import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.logs import REDACTED, WITHHELD, JsonLines, redact, request_ids, set_up

KEY = "ballast_k7Gh2Lm9Qw_Zx8Cv5Bn3Ma1Sd6Fg4Hj"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.s3cr3t-signature_x"


def logged(message: str, *arguments: object, **named: Any) -> dict[str, Any]:
    """Log one line and read it back; it must be one line of JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("ballast.test")  # noqa: LOG001 - without parents, nobody else hears of it
    logger.addHandler(handler)
    logger.error(message, *arguments, **named)
    (line,) = stream.getvalue().removesuffix("\n").split("\n")
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_says_when_how_bad_who_and_what() -> None:
    line = logged("drained %d entries", 7)
    assert set(line) == {"time", "level", "logger", "message"}
    assert line["time"].endswith("+00:00")
    assert (line["level"], line["logger"]) == ("ERROR", "ballast.test")
    assert line["message"] == "drained 7 entries"


def test_fields_come_from_extra() -> None:
    line = logged("x", extra={"entries": 7, "took": 0.5, "tags": ["a", None], "at": {"k": True}})
    assert line["fields"] == {"entries": 7, "took": 0.5, "tags": ["a", None], "at": {"k": True}}


def test_a_request_can_be_followed_through_the_log() -> None:
    token = request_ids.set(["req-1"])
    try:
        assert logged("x")["request_id"] == "req-1"
    finally:
        request_ids.reset(token)
    assert "request_id" not in logged("x")


def test_a_line_about_a_batch_names_its_requests_up_to_a_bound() -> None:
    few, many = ["a", "b"], [f"req-{at}" for at in range(900)]
    token = request_ids.set(few)
    try:
        assert logged("x")["request_ids"] == few
        request_ids.set(many)
        line = logged("x")
    finally:
        request_ids.reset(token)
    assert (line["request_ids"], line["requests"]) == (many[:16], 900)


@pytest.mark.parametrize(
    "said",
    [
        f"the key {KEY} was refused",
        f"X-API-Key: {KEY}",
        "X-API-Key: s3cr3t-value",
        "x-api-key=s3cr3t-value&limit=3",
        "Authorization: Basic dXNlcjpzM2NyM3Q=",
        f"Authorization: Bearer {JWT}",
        "got a Bearer s3cr3t-value-1 from the client",
        f"token {JWT} has expired",
        "{'authorization': 'Bearer s3cr3t-value'}",
        '{"password": "s3cr3t value, with blanks"}',
        r"{\"api_key\": \"s3cr3t-value\"}",
        "[(b'host', b'x'), (b'x-api-key', b's3cr3t-value')]",
        "password=s3cr3t-value",
        "PASSWORD = 's3cr3t value'",
        "redis_password: s3cr3t-value",
        "client_secret=s3cr3t-value;",
        "Cookie: session=s3cr3t-value",
        "cannot reach redis://:s3cr3t-value@cache:6379/0",
        "cannot reach https://ballast:s3cr3t-value@clickhouse:8443/?database=x",
    ],
)
def test_secrets_are_taken_out_wherever_they_are_said(said: str) -> None:
    def fails() -> None:
        raise ValueError(said)

    try:
        fails()
    except ValueError:
        line = logged("%s", said, exc_info=True, stack_info=True, extra={"note": [said], said: 1})
    whole = json.dumps(line)
    for secret in ("s3cr3t", KEY[8:], JWT[10:], "dXNlcjpzM2NyM3Q"):
        assert secret not in whole
    assert REDACTED in line["message"]
    assert REDACTED in line["exception"]
    assert "ValueError" in line["exception"]


@pytest.mark.parametrize(
    "said",
    [
        "3 keys were refused",
        "the bearer of bad news",
        "no password was given",
        "token expired, try again",
        "http://127.0.0.1:8000/models/tail-slo?symbol=SPY",
        "ballast up",
        "decision 01a1f806-3776-7000-a690-65a13f0c83e9 took 3.1 ms",
        "author: Ann",
    ],
)
def test_what_is_no_secret_stays_readable(said: str) -> None:
    assert redact(said) == said


@pytest.mark.parametrize("name", ["password", "api_key", "X-API-Key", "Authorization", "db.pwd"])
def test_a_field_with_a_secrets_name_is_redacted_whatever_it_holds(name: str) -> None:
    assert logged("x", extra={name: ["anything"]})["fields"] == {name: REDACTED}
    assert logged("x", extra={"in": {name: 1}})["fields"] == {"in": {name: REDACTED}}


@pytest.mark.parametrize("name", ["body", "request_body", "payload", "rows", "response.content"])
def test_what_clients_sent_is_never_logged(name: str) -> None:
    assert logged("x", extra={name: {"trader": "Ann"}})["fields"] == {name: WITHHELD}
    assert logged("x", extra={name: b"Ann"})["fields"] == {name: WITHHELD}
    assert logged("x", extra={name: 64})["fields"] == {name: 64}


@given(
    st.text() | st.binary() | st.integers() | st.floats() | st.dictionaries(st.text(), st.text())
)
def test_anything_can_be_logged(value: object) -> None:
    line = logged("%s", value, extra={"value": value})
    assert "value" in line["fields"]


@pytest.mark.parametrize("text", ["a lone \ud800 surrogate", "two\nlines", "\x00\x1b[31m"])
def test_hostile_text_stays_in_its_line(text: str) -> None:
    assert logged(text)["level"] == "ERROR"
    assert logged("x", extra={"field": text})["level"] == "ERROR"


@given(st.text(alphabet="abpsword=:@/'\"\\ e-yJ.", max_size=200))
def test_redaction_is_stable(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_long_text_is_redacted_in_time_that_grows_with_its_length() -> None:
    """Ten times the text may take ten times as long; a hundred times would be its square."""
    for piece in ("a://", "password", "eyJ", "'api_key' ", "\\'", "bearer ", "x:"):
        assert took_to_redact(piece * 20_000) < 40 * took_to_redact(piece * 2_000) + 0.01, piece


def took_to_redact(text: str) -> float:
    """Give the processor's time at its best; the machine may be busy with other things."""
    took = []
    for _ in range(3):
        started = time.thread_time()
        redact(text)
        took.append(time.thread_time() - started)
    return min(took)


def test_the_whole_process_logs_to_one_stream() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        set_up("INFO", stream)
        logging.getLogger("some.library").info("hello %s", KEY)
        logging.getLogger("some.library").debug("not this")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert line["message"] == f"hello {REDACTED}"
