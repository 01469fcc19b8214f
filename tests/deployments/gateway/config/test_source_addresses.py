"""A version whose sources are at addresses of secrets, or at no server, does not come to be."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer

RULES = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
SQL = (
    "SELECT entity, time, request_rate FROM minutes "
    "WHERE time >= {from:DateTime64(3)} AND time < {to:DateTime64(3)}"
)
QUERY = {"kind": "sql", "sql": SQL, "metrics": {"request_rate": {"column": "request_rate"}}}
SECRETS = "http://169.254.169.254/latest"
VOLUME = {"metrics": {"request_rate": {"kind": "per_second", "field": "volume"}}}


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        yield api


@pytest.mark.parametrize(
    ("source", "place", "why"),
    [
        ({"kind": "prometheus", "url": SECRETS, "mapping": RULES}, "url", "credentials"),
        ({"kind": "prometheus", "url": "http://2852039166", "mapping": RULES}, "url", "169.254"),
        ({"kind": "prometheus", "url": "http://[fe80::1]:9090", "mapping": RULES}, "url", "fe80"),
        ({"kind": "clickhouse", "url": SECRETS, "query": QUERY}, "url", "credentials"),
        (
            {"kind": "candles", "url": SECRETS, "symbols": ["A"], "mapping": VOLUME},
            "url",
            "credentials",
        ),
        ({"kind": "kafka", "servers": ["169.254.0.9:1"], "topic": "t"}, "servers[0]", "169.254"),
        ({"kind": "prometheus", "url": "file:///etc/passwd", "mapping": RULES}, "url", "http"),
        ({"kind": "prometheus", "url": "http://h/x#", "mapping": RULES}, "url", "fragment"),
        ({"kind": "prometheus", "url": "http://h/x?", "mapping": RULES}, "url", "query"),
        ({"kind": "prometheus", "url": "http://h/x#y", "mapping": RULES}, "url", "fragment"),
        ({"kind": "clickhouse", "url": "http://h/x#y", "query": QUERY}, "url", "fragment"),
    ],
)
async def test_such_a_source_is_refused(
    api: ConfigApi, source: dict[str, Any], place: str, why: str
) -> None:
    patch = {"sources": {"named": {"p": source}}}
    found = await api.ask("PUT", "/config", patch, "adam:admin")
    assert found.status_code == 422, found.text
    said = found.json()["error"]["fields"]
    (at,) = [each for each in said if each.startswith("sources.named.p") and each.endswith(place)]
    assert why in said[at]
    assert len(await api.get("/config/versions")) == 1
