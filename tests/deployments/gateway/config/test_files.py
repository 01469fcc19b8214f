"""A key that may change the configuration reads no file of the machine by it, unless an admin's."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer

ADMIN = "adam:admin"
RULES = {"entity": "job", "metrics": {"cpu": {"kind": "gauge", "of": {"name": "cpu"}}}}
KEPT = {"kind": "prometheus", "url": "http://p:9090", "mapping": RULES, "token_file": "/token"}


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        yield api


def named(**source: Any) -> dict[str, Any]:
    return {"sources": {"named": {"p": source}}}


def refused(found: httpx.Response) -> bool:
    assert found.status_code == 403, found.text
    return "sources.named.p" in found.json()["error"]["message"]


@pytest.mark.parametrize("who", ["olga:operator", "alba:approver"])
async def test_an_operator_names_no_file_of_the_machine(api: ConfigApi, who: str) -> None:
    stolen = named(**KEPT | {"token_file": "/root/.ballast/admin.key"})
    assert refused(await api.ask("PUT", "/config", stolen, who))
    body: dict[str, Any] = {"message": "m", "patch": stolen}
    assert refused(await api.ask("POST", "/config/versions", body, who))
    whole = api.active().document.model_dump(mode="json") | stolen
    body = {"message": "m", "document": whole}
    assert refused(await api.ask("POST", "/config/versions", body, who))
    assert len(await api.get("/config/versions")) == 1  # nothing is left of it


async def test_what_an_admin_named_stays_and_is_sent_nowhere_else(api: ConfigApi) -> None:
    await api.patched(named(**KEPT), ADMIN)
    await api.patched(named(cadence_seconds=30))  # by an operator
    assert refused(await api.ask("PUT", "/config", named(url="http://elsewhere:9090")))
    await api.patched(named(token_file=None))
    assert refused(await api.ask("PUT", "/config", named(token_file="/token")))
