"""A request that the front sends to a second gateway is carried out once, and answered alike."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from deployments.api.front_ids import HEADER
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer

OLGA, ALBA, ADMIN = "olga:operator", "alba:approver", "adam:admin"
GIVEN = "1772000000000-6f1c2a34-0b1c-4d5e-8f90-a1b2c3d4e5f6"
SLO = {"serving": {"tail": {"slo_ms": 90}}}


class Gateways(NamedTuple):
    """The one that dies before it answers, and the one that is asked next."""

    dies: ConfigApi
    next: ConfigApi

    async def ask(
        self, method: str, path: str, body: Any = None, who: str = OLGA, given: str = GIVEN
    ) -> httpx.Response:
        """Ask once, as the client sees it: of what the first one says nothing arrives."""
        await _ask(self.dies, method, path, body, who, given)
        return await _ask(self.next, method, path, body, who, given)


async def _ask(
    api: ConfigApi, method: str, path: str, body: Any, who: str, given: str
) -> httpx.Response:
    async with api.client(who) as client:
        return await client.request(method, path, json=body, headers={HEADER: given})


@pytest_asyncio.fixture
async def gateways(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Gateways]:
    async with AsyncExitStack() as opened:
        clients: list[Redis] = [
            await opened.enter_async_context(redis_server.patient_client()) for _ in range(2)
        ]
        yield Gateways(
            *[await opened.enter_async_context(config_api(each, tmp_path)) for each in clients]
        )


async def deployed(api: ConfigApi, slo_ms: int) -> None:
    found = await api.ask("PUT", "/config", {"serving": {"tail": {"slo_ms": slo_ms}}}, ADMIN)
    assert found.status_code == 200, found.text


async def test_a_rollback_goes_back_once(gateways: Gateways) -> None:
    for slo_ms in (90, 91, 92):
        await deployed(gateways.next, slo_ms)
    found = await gateways.ask("POST", "/config/rollback", {"reason": "it is bad"})
    assert (found.status_code, found.json()["active"]) == (200, 3)
    # The next request is another one.
    again = {"reason": "that one too"}
    found = await gateways.ask("POST", "/config/rollback", again, given=GIVEN.replace("6f", "7f"))
    assert (found.status_code, found.json()["active"]) == (200, 2)


async def test_a_patch_is_made_and_deployed_once(gateways: Gateways) -> None:
    found = await gateways.ask("PUT", "/config?base=1", SLO)
    assert found.status_code == 200, found.text
    assert (found.json()["version"], found.json()["changed"]) == (2, True)
    assert len(await gateways.next.get("/config/versions")) == 2


async def test_what_a_version_goes_through_is_answered_as_the_first_time(
    gateways: Gateways,
) -> None:
    await gateways.next.ask("PUT", "/config/settings", {"approvals_needed": 1}, ADMIN)
    draft = await gateways.ask("POST", "/config/versions", {"patch": SLO, "message": "m"})
    assert (draft.status_code, draft.json()["version"]) == (201, 2)
    assert len(await gateways.next.get("/config/versions")) == 2
    good = await gateways.ask("POST", "/config/versions/2/validate")
    assert good.json()["good"]
    read = {"config_hash": draft.json()["config_hash"]}
    approved = await gateways.ask("POST", "/config/versions/2/approve", read, ALBA)
    assert approved.status_code == 200, approved.text
    canary = {"version": 2, "strategy": "canary", "shares": [0.1, 1.0]}
    assert (await gateways.ask("POST", "/config/deploy", canary)).status_code == 200
    aborted = await gateways.ask("POST", "/config/rollout/abort", {"reason": "slow"})
    assert aborted.status_code == 200, aborted.text
    none = await gateways.next.ask("POST", "/config/rollout/abort", {"reason": "slow"})
    assert (none.status_code, "No rollout goes on" in none.text) == (409, True)


async def test_what_is_put_there_is_there_once_and_removed_once(gateways: Gateways) -> None:
    freeze = {"reason": "the close", "to": "2099-01-01T00:00:00Z"}
    made = await gateways.ask("POST", "/config/freezes", freeze, ADMIN)
    assert made.status_code == 200, made.text
    (there,) = made.json()["freezes"]
    gone = await gateways.ask("DELETE", f"/config/freezes/{there['id']}", who=ADMIN)
    assert (gone.status_code, gone.json()["freezes"]) == (200, [])


@pytest.mark.parametrize("given", ["", "mine", GIVEN + "0"])
async def test_what_is_no_id_of_the_fronts_is_none(gateways: Gateways, given: str) -> None:
    for _ in range(2):
        await _ask(
            gateways.next, "POST", "/config/versions", {"patch": SLO, "message": "m"}, OLGA, given
        )
    assert len(await gateways.next.get("/config/versions")) == 3
