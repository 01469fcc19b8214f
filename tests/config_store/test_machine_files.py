"""Which places of a document read files of the machine that another one does not."""

from typing import Any

import pytest

from config_store.document import ConfigDocument
from config_store.machine_files import files_named_anew
from config_store.shipped import default_document

RULES = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
PLACES = "SELECT {from:DateTime64(3)}, {to:DateTime64(3)}"
TABLE = {"kind": "sql", "sql": PLACES, "metrics": {"cpu": {"column": "cpu"}}}
LINES = {"entity_name": "shop", "paths": ["/var/log/app.log"]}
TOPIC = {"kind": "kafka", "servers": ["k:9092"], "topic": "t"}
CANDLES = {
    "kind": "candles",
    "url": "http://m:8080",
    "symbols": ["A"],
    "mapping": {"metrics": {"request_rate": {"kind": "per_second", "field": "volume"}}},
}
SECRET = {"kind": "prometheus", "url": "http://p:9090", "mapping": RULES, "token_file": "/t"}


def naming(**sources: Any) -> ConfigDocument:
    fields = default_document().model_dump(mode="json")
    fields["sources"]["named"] = sources
    return ConfigDocument.model_validate(fields)


@pytest.mark.parametrize(
    "source",
    [
        SECRET,
        {"kind": "clickhouse", "url": "http://c:8123", "query": TABLE, "password_file": "/p"},
        {"kind": "clickhouse", "folder": "/var/lib/chdb", "query": TABLE},
        {"kind": "logs", "lines": LINES},
        CANDLES | {"token_file": "/t"},
        TOPIC | {"user": "u", "password_file": "/p"},
        TOPIC | {"tls": True, "ca_file": "/ca"},
    ],
)
def test_a_file_is_named_anew_once(source: dict[str, Any]) -> None:
    named = naming(a=source)
    assert files_named_anew(named, default_document()) == ["sources.named.a"]
    assert files_named_anew(named, None) == ["sources.named.a"]
    assert files_named_anew(named, named) == []
    assert files_named_anew(naming(b=source), named) == ["sources.named.b"]


@pytest.mark.parametrize(
    "changed",
    [
        {"url": "http://elsewhere:9090"},
        {"token_file": "/another"},
        {"verify_tls": False},
    ],
)
def test_a_secret_that_is_sent_elsewhere_is_as_good_as_another_file(
    changed: dict[str, Any],
) -> None:
    assert files_named_anew(naming(a=SECRET | changed), naming(a=SECRET)) == ["sources.named.a"]


@pytest.mark.parametrize("changed", [{"paused": True}, {"cadence_seconds": 30}])
def test_what_reads_nothing_else_is_anybodys(changed: dict[str, Any]) -> None:
    assert files_named_anew(naming(a=SECRET | changed), naming(a=SECRET)) == []
    push = {"kind": "push"}
    assert files_named_anew(naming(a=push, b=TOPIC), None) == []
