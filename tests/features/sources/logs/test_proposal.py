"""What is proposed for lines as loggers and proxies write them, read again by the rules."""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from features.errors import NothingUsableError
from features.sources.logs.ends import MOST_BYTES, MOST_LINES, read_ends
from features.sources.logs.patterns import LineRead, LineReader
from features.sources.logs.proposal import LogProposal, Stated, propose

NOW = 1_772_461_800  # 2026-03-02T14:30:00Z
ISO = "2026-03-02T14:30:00Z"
NOTHING_STATED = Stated()


class Case(NamedTuple):
    """Two requests of orders that took 25 ms, the second of which failed."""

    line: Mapping[str, Any]
    failed: Mapping[str, Any]
    entity: str | None = "orders"


CASES = {
    "nginx": Case(
        {
            "time_iso8601": "2026-03-02T15:30:00+01:00",
            "server_name": "orders",
            "request": "GET / HTTP/1.1",
            "status": "200",
            "request_time": "0.025",
            "upstream_response_time": "0.020",
        },
        {"status": "502"},
    ),
    "nginx, seconds": Case(
        {"msec": f"{NOW}.000", "host": "orders", "status": 200, "request_time": 0.025},
        {"status": 500},
    ),
    "ECS": Case(
        {
            "@timestamp": "2026-03-02T14:30:00.000Z",
            "log.level": "info",
            "service": {"name": "orders"},
            "event": {"duration": 25_000_000, "dataset": "orders.access"},
            "http": {"response": {"status_code": 200}},
        },
        {"http": {"response": {"status_code": 503}}},
    ),
    "Bunyan": Case(
        {
            "name": "orders",
            "hostname": "a",
            "pid": 7,
            "level": 30,
            "time": "2026-03-02T14:30:00.000Z",
            "responseTime": 25,
            "res": {"statusCode": 200},
            "v": 0,
        },
        {"res": {"statusCode": 500}, "level": 50},
    ),
    "pino, without a status": Case(
        {
            "level": 30,
            "time": NOW * 1000,
            "pid": 7,
            "hostname": "a",
            "name": "orders",
            "responseTime": 25,
            "msg": "request completed",
        },
        {"level": 50},
    ),
    "structlog": Case(
        {
            "timestamp": "2026-03-02T14:30:00.000000Z",
            "service": "orders",
            "level": "info",
            "event": "answered",
            "duration_ms": 25.0,
        },
        {"level": "error"},
    ),
    "zap": Case(
        {
            "level": "info",
            "ts": float(NOW),
            "caller": "server/http.go:42",
            "msg": "finished call",
            "service": "orders",
            "grpc.code": "OK",
            "grpc.time_ms": 25,
        },
        {"grpc.code": "Internal"},
    ),
    "logrus": Case(
        {"level": "info", "msg": "done", "time": ISO, "app": "orders", "latencySeconds": 0.025},
        {"level": "error"},
    ),
    "GELF": Case(
        {
            "version": "1.1",
            "host": "machine-1",
            "short_message": "done",
            "timestamp": NOW + 0.25,
            "level": 6,
            "_service": "orders",
            "_duration_us": 25_000,
        },
        {"level": 3},
    ),
    "Caddy": Case(
        {
            "level": "info",
            "ts": NOW + 0.5,
            "logger": "http.log.access",
            "request": {"method": "GET", "host": "orders", "uri": "/"},
            "duration": 0.025,
            "status": 200,
        },
        {"status": 500},
    ),
    "Envoy": Case(
        {
            "start_time": "2026-03-02T14:30:00.000Z",
            "response_code": 200,
            "duration": 25,
            "upstream_cluster": "orders",
        },
        {"response_code": 503},
    ),
    "Traefik": Case(
        {
            "DownstreamStatus": 200,
            "Duration": 25_000_000,
            "OriginDuration": 24_000_000,
            "ServiceName": "orders",
            "level": "info",
            "time": ISO,
        },
        {"DownstreamStatus": 502},
    ),
    "Serilog": Case(
        {"@t": ISO, "@mt": "{Elapsed}", "Elapsed": 25.0, "StatusCode": 200, "Application": "x"},
        {"StatusCode": 500},
        entity=None,
    ),
    "lograge": Case(
        {
            "controller": "OrdersController",
            "action": "show",
            "status": 200,
            "duration": 25.0,
            "@timestamp": ISO,
        },
        {"status": 500},
        entity=None,
    ),
}


def write(file: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def proposed(
    folder: Path, lines: Iterable[Mapping[str, Any]], stated: Stated = NOTHING_STATED
) -> LogProposal:
    file = write(folder / "access.log", lines)
    return propose([str(file)], read_ends([str(file)]), stated, name="shop")


@pytest.mark.parametrize("name", CASES)
def test_lines_of_known_software_are_read_without_a_word(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    lines = [*[case.line] * 9, {**case.line, **case.failed}]
    proposal = proposed(tmp_path, lines)
    assert proposal.unread == ()
    reader = LineReader(proposal.rules)
    read = [reader.read(json.dumps(line).encode()) for line in lines]
    for each in read:
        assert isinstance(each, LineRead)
        assert each.entity == (case.entity or "shop")
        assert int(each.time) == NOW
        assert each.latency_ms == pytest.approx(25)
        assert each.request
    assert [isinstance(each, LineRead) and each.failed for each in read] == [False] * 9 + [True]
    assert proposal.entities == (case.entity or "shop",)
    assert all(0 < each.share <= 1 for each in proposal.uses)


def test_a_field_that_names_requests_names_no_service(tmp_path: Path) -> None:
    lines = [{"time": ISO, "service": f"request-{i}", "app": f"a{i % 3}"} for i in range(60)]
    assert proposed(tmp_path, lines).rules.entity_field == "app"


def test_where_nothing_names_the_service_the_source_does(tmp_path: Path) -> None:
    lines = [{"time": ISO, "user": f"u{i}"} for i in range(10)]
    rules = proposed(tmp_path, lines).rules
    assert (rules.entity_field, rules.entity_name) == (None, "shop")
    named = proposed(tmp_path, lines, Stated(entity_name="orders")).rules
    assert named.entity_name == "orders"


def test_with_a_status_and_no_latency_lines_with_the_status_are_requests(tmp_path: Path) -> None:
    lines = [{"time": ISO, "status": 200}] * 3 + [{"time": ISO, "message": "started"}]
    rules = proposed(tmp_path, lines).rules
    read = [LineReader(rules).read(json.dumps(line).encode()) for line in lines]
    assert [isinstance(each, LineRead) and each.request for each in read] == [True] * 3 + [False]


def test_a_latency_in_a_unit_that_nobody_knows_is_only_named(tmp_path: Path) -> None:
    lines = [{"time": ISO, "elapsed": 25.0}] * 4
    proposal = proposed(tmp_path, lines)
    assert proposal.rules.latency is None
    assert proposal.perhaps == ("elapsed",)
    with pytest.raises(NothingUsableError, match="give --latency-unit"):
        proposed(tmp_path, lines, Stated(latency_field="elapsed"))
    for stated in (
        Stated(latency_unit="us"),
        Stated(latency_unit="us", latency_field="elapsed"),
    ):
        latency = proposed(tmp_path, lines, stated).rules.latency
        assert latency is not None
        assert (latency.field, latency.unit) == ("elapsed", "us")


def test_times_without_an_offset_need_a_zone(tmp_path: Path) -> None:
    lines = [{"asctime": "2026-03-02 14:30:00,250", "levelname": "INFO"}] * 4
    with pytest.raises(NothingUsableError, match="asctime, such as '2026-03-02 14:30:00,250'"):
        proposed(tmp_path, lines)
    proposal = proposed(tmp_path, lines, Stated(time_zone="Europe/Berlin"))
    assert proposal.newest == NOW - 3600 + 0.25


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (Stated(time_field="when"), "no line has the field when; there are at, size, note"),
        (Stated(time_field="note"), "note holds 'hello', which is no RFC 3339 time"),
        (Stated(time_field="at", entity_field="service"), "no line has the field service"),
        (Stated(time_field="at", status_field="size"), "size holds 700, which is no status"),
        (Stated(), "no field is known to hold a time; there are at, size, note"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(stated: Stated, said: str, tmp_path: Path) -> None:
    at = NOW if stated.time_field == "at" else 7
    with pytest.raises(NothingUsableError, match=said):
        proposed(tmp_path, [{"at": at, "size": 700, "note": "hello"}] * 3, stated)


def test_a_date_and_time_is_found_under_any_name(tmp_path: Path) -> None:
    assert proposed(tmp_path, [{"answeredAt": ISO}] * 3).rules.time.field == "answeredAt"


def test_a_few_broken_lines_are_counted_and_many_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "app.log", [{"time": ISO, "service": "orders"}] * 4)
    with file.open("a") as log:
        log.write("Traceback (most recent call last):\n")
    proposal = propose([str(file)], read_ends([str(file)]), NOTHING_STATED, name="shop")
    assert len(proposal.unread) == 1
    assert "no JSON" in proposal.unread[0]
    with file.open("a") as log:
        log.write("10.0.0.1 - - GET /\n" * 9)
    said = f"10 of the last 14 lines are no JSON objects, as in {file}: 'Traceback"
    with pytest.raises(NothingUsableError) as refused:
        propose([str(file)], read_ends([str(file)]), NOTHING_STATED, name="shop")
    assert said in str(refused.value)


def test_only_the_ends_are_read_and_only_whole_lines(tmp_path: Path) -> None:
    long, old = tmp_path / "a.log", tmp_path / "a.log.1"
    lines = [json.dumps({"time": ISO, "number": i, "text": "x" * 200}) for i in range(5000)]
    long.write_text("\n".join(lines) + '\n{"time": "2026-')
    write(old, [{"time": ISO, "number": -1}])
    os.utime(old, (0, 0))
    ends = read_ends([str(tmp_path / "a.log*")])
    assert ends.files == 2
    numbers = [json.loads(each.text)["number"] for each in ends.lines]
    assert numbers[0] == -1
    assert numbers[-1] == 4999
    assert numbers[1:] == list(range(5000 - len(numbers) + 1, 5000))
    assert len(numbers) <= MOST_LINES + 1
    assert sum(len(each.text) for each in ends.lines) <= MOST_BYTES + 100


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(NothingUsableError, match="no file lies under"):
        read_ends([str(tmp_path / "*.log")])
    (tmp_path / "new.log").touch()
    with pytest.raises(NothingUsableError, match="has no whole line yet"):
        read_ends([str(tmp_path / "*.log")])
