"""The sources section refuses in words what no source could do."""

from typing import Any

import pytest
from pydantic import ValidationError

from config_store.sources import SourcesConfig

RATE = {"kind": "rate", "of": {"name": "http_requests_total"}}
URL = "http://127.0.0.1:9090"
VOLUME = {"metrics": {"request_rate": {"kind": "per_second", "field": "volume"}}}
TRADES = {"metrics": {"request_rate": {"kind": "per_second", "field": "trades"}}}
CANDLES = {"kind": "candles", "url": URL, "symbols": ["A"], "mapping": VOLUME}


def sources(**named: Any) -> SourcesConfig:
    return SourcesConfig.model_validate({"named": named})


def mapping(**metrics: Any) -> dict[str, Any]:
    return {"entity": "job", "metrics": metrics}


def test_a_prometheus_with_a_rule_of_each_kind_is_taken() -> None:
    rules = {
        "request_rate": RATE,
        "error_rate": {"kind": "ratio", "of": RATE["of"], "by": RATE["of"]},
        "p99_ms": {"kind": "quantile", "of": {"name": "latency_seconds"}, "level": 0.99},
        "active_workers": {"kind": "gauge", "of": {"name": "up"}, "over": "count"},
        "memory": {"kind": "gauge_ratio", "of": {"name": "used"}, "by": {"name": "limit"}},
        "cpu": {"kind": "expression", "promql": "avg by (job) (rate(cpu[$interval]))"},
    }
    source = {"kind": "prometheus", "url": URL, "mapping": mapping(**rules)}
    found = sources(prod=source)
    assert sources(**found.model_dump(mode="json")["named"]) == found


def test_candles_are_taken_and_come_back_as_they_were() -> None:
    found = sources(market=CANDLES | {"symbols": ["BTC-USD", "BRK.B"], "exchange": "XNYS"})
    assert sources(**found.model_dump(mode="json")["named"]) == found


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"demo": {"kind": "push"}}, "the simulator's"),
        (
            {
                "prod": {
                    "kind": "prometheus",
                    "url": "http://u:pw@host:9090",
                    "mapping": mapping(request_rate=RATE),
                }
            },
            "may hold no user",
        ),
        ({"Prod!": {"kind": "push"}}, "should match pattern"),
        ({"prod": {"kind": "push", "cadence_seconds": 20}}, "multiple of 15"),
        ({"prod": {"kind": "prometheus", "url": URL, "mapping": mapping()}}, "at least 1"),
        ({"prod": {"kind": "prometheus", "url": URL, "mapping": mapping(speed=RATE)}}, "speed"),
        (
            {
                "prod": {
                    "kind": "remote_write",
                    "mapping": mapping(cpu={"kind": "expression", "promql": "x"}),
                }
            },
            "cpu: only a Prometheus that is asked",
        ),
        ({"m": CANDLES | {"symbols": []}}, "at least 1 item"),
        ({"m": CANDLES | {"symbols": ["A", "A"]}}, "'A' is there more than once"),
        ({"m": CANDLES | {"symbols": ["A?b=c"]}}, "match pattern"),
        ({"m": CANDLES | {"cadence_seconds": 120}}, "candles are of 60, 300"),
        ({"m": CANDLES | {"url": "http://u:pw@host"}}, "may hold no user"),
        ({"m": CANDLES | {"mapping": TRADES}}, "names.trades does not say where"),
        ({"k": {"kind": "kafka", "servers": [], "topic": "t"}}, "at least 1 item"),
        ({"k": {"kind": "kafka", "servers": ["u:pw@host:9092"], "topic": "t"}}, "match pattern"),
        ({"k": {"kind": "kafka", "servers": ["h:1"], "topic": "t", "user": "me"}}, "password_file"),
    ],
)
def test_what_cannot_be_is_refused_in_words(named: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        sources(**named)


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError, match="no time zone"):
        SourcesConfig.model_validate({"entities": {"shop": {"time_zone": "Mars/Olympus"}}})
