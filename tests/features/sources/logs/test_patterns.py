from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from features.sources.logs.config import LogRules
from features.sources.logs.patterns import LineRead, LineReader, UnreadLine

RULES: dict[str, Any] = {
    "paths": ["/var/log/app.log*"],
    "entity_field": "service",
    "latency": {"field": "took", "unit": "us"},
    "patterns": [
        {"kind": "error", "where": [{"field": "http.status", "at_least": 500}]},
        {"kind": "deploy", "where": [{"field": "msg", "matches": "^deploy(ed)? v"}]},
        {
            "kind": "restart",
            "where": [{"field": "msg", "equals": "started"}, {"field": "cold", "equals": True}],
        },
    ],
}
LINE = {"time": "2026-03-02T14:30:00.250Z", "service": "orders", "took": 1500}
AT = 1_772_461_800.25


def read(line: dict[str, Any] | bytes, **changed: Any) -> LineRead | UnreadLine:
    rules = LogRules.model_validate(RULES | changed)
    return LineReader(rules).read(line if isinstance(line, bytes) else orjson.dumps(line))


def told(line: dict[str, Any], **changed: Any) -> LineRead:
    found = read(LINE | line, **changed)
    assert isinstance(found, LineRead), found
    return found


def test_a_line_tells_of_a_request() -> None:
    line = read(LINE)
    assert line == LineRead(
        "orders", AT, 1.5, request=True, failed=False, deploy=False, restart=False
    )


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        ({"http": {"status": 500}}, True),
        ({"http": {"status": "503"}}, True),
        ({"http": {"status": 499}}, False),
        ({"http": {"status": True}}, False),
        ({"http.status": 502}, True),
        ({"http": 502}, False),
    ],
)
def test_a_request_fails_by_its_status(line: dict[str, Any], *, failed: bool) -> None:
    assert told(line).failed is failed


def test_a_condition_of_zero_holds_for_zero() -> None:
    where = [{"field": "code", "at_least": 0}]
    assert told({"code": 0}, patterns=[{"kind": "error", "where": where}]).failed


@pytest.mark.parametrize(
    ("line", "deploy", "restart"),
    [
        ({"msg": "deploy v7"}, True, False),
        ({"msg": "a deploy v7"}, False, False),
        ({"msg": "started", "cold": True}, False, True),
        ({"msg": "started", "cold": 1}, False, False),
        ({"msg": "started"}, False, False),
        ({"msg": None}, False, False),
    ],
)
def test_all_conditions_of_a_kind_must_hold(
    line: dict[str, Any], *, deploy: bool, restart: bool
) -> None:
    found = told(line)
    assert (found.deploy, found.restart) == (deploy, restart)


def test_a_line_without_a_latency_is_no_request_where_requests_have_one() -> None:
    found = told({"took": None, "http": {"status": 500}})
    assert (found.request, found.failed, found.latency_ms) == (False, False, None)


def test_where_no_latency_is_named_every_other_line_is_a_request() -> None:
    assert told({"msg": "GET /"}, latency=None).request
    assert not told({"msg": "deploy v7"}, latency=None).request


def test_requests_can_be_told_by_conditions() -> None:
    requests = [{"field": "kind", "equals": "access"}]
    assert told({"kind": "access"}, requests=requests).latency_ms == 1.5
    assert told({"kind": "audit"}, requests=requests).latency_ms is None


@pytest.mark.parametrize(
    ("time", "rule"),
    [
        ("2026-03-02T15:30:00.250+01:00", {}),
        ("2026-03-02 09:30:00.250", {"zone": "America/New_York"}),
        ("2026-03-02T14:30:00.250000001Z", {}),
        (AT, {"format": "s"}),
        (str(AT), {"format": "s"}),
        (AT * 1e3, {"format": "ms"}),
        (int(AT * 1e6), {"format": "us"}),
        (int(AT * 1e9), {"format": "ns"}),
    ],
)
def test_times_are_read_as_they_are_written(time: Any, rule: dict[str, str]) -> None:
    assert told({"time": time}, time={"field": "time", **rule}).time == pytest.approx(AT, abs=1e-5)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"", "schema"),
        (b"{", "schema"),
        (b"\xff\xfe", "schema"),
        (b"[1]", "schema"),
        (b"{}", "schema"),
        (LINE | {"service": 7}, "schema"),
        (LINE | {"service": ""}, "schema"),
        (LINE | {"service": "x" * 201}, "schema"),
        (LINE | {"time": "yesterday"}, "schema"),
        (LINE | {"time": "2026-03-02T14:30:00"}, "schema"),
        (LINE | {"time": 1}, "schema"),
        (LINE | {"took": "fast"}, "not a number"),
        (LINE | {"took": "nan"}, "not a number"),
        (LINE | {"took": -1}, "out of bounds"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: Any, fault: str) -> None:
    found = read(line)
    assert isinstance(found, UnreadLine)
    assert found.fault == fault
    assert len(found.example) < 400


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"entity_field": None}, "either entity_field or entity_name"),
        ({"entity_name": "orders"}, "either entity_field or entity_name"),
        ({"paths": ["logs/app.log"]}, "begin it with /"),
        ({"paths": []}, "at least 1"),
        ({"time": {"zone": "London"}}, "Europe/London"),
        ({"requests": [{"field": "a", "matches": "("}]}, "no regular expression"),
        ({"requests": [{"field": "a", "matches": r"(?=a)b"}]}, "looks around"),
        ({"requests": [{"field": "a", "matches": r"(a)\1"}]}, "looks around"),
        ({"requests": [{"field": "a"}]}, "needs one of"),
        ({"requests": [{"field": "a", "equals": 1, "at_least": 1}]}, "needs one of"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused(changed: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        LogRules.model_validate(RULES | changed)
