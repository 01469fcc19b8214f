"""Whatever is logged on the way of a request names it, in whichever process."""

import asyncio
from typing import Any

import httpx
import pytest

from access.keys import Role
from tests.deployments.gateway.conftest import LogLines
from tests.deployments.house import PATH, House

BODY: dict[str, Any] = {"entity": "order-gateway", "load": 0.5, "slo_ms": 20}


async def failing(*_: Any) -> Any:
    raise KeyError("load")


async def post(house: House, request_id: str, body: dict[str, Any] = BODY) -> Any:
    async with house.client() as client:
        return await client.post(PATH, json=body, headers={"X-Request-ID": request_id})


async def test_gateway_and_replica_name_the_request_that_a_stage_failed_for(
    house: House, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    (replica,) = house.replicas["tail"]
    monkeypatch.setattr(replica, "answer", failing)
    answer = await post(house, "req-of-ann")
    assert answer.json()["safety"]["fallback"]
    (of_replica,) = log_lines("A batch could not be answered")
    (of_gateway,) = log_lines("the batch is answered by the fallback")
    assert "KeyError" in of_replica["exception"]
    assert of_replica["request_id"] == of_gateway["request_id"] == "req-of-ann"


async def test_a_line_about_a_batch_names_every_request_in_it(
    house: House, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    (replica,) = house.replicas["tail"]
    monkeypatch.setattr(replica, "answer", failing)
    names = [f"req-{at}" for at in range(9)]
    await asyncio.gather(*(post(house, name) for name in names))
    named = [
        line.get("request_ids", [line.get("request_id")])
        for line in log_lines("A batch could not be answered")
    ]
    assert sorted(name for names in named for name in names) == names
    assert len(named) < len(names)  # some shared a batch


async def test_a_route_of_fastapi_logs_under_the_id_that_its_answer_has(
    house: House, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = httpx.ASGITransport(app=house.ingress, raise_app_exceptions=False)
    headers = {"X-API-Key": house.keys[Role.VIEWER]}
    client = httpx.AsyncClient(transport=transport, base_url="http://ballast", headers=headers)
    with monkeypatch.context() as broken:
        broken.delattr(house.context, "ledger")
        async with client:
            found = await client.get("/status")
    assert found.status_code == 500
    (line,) = log_lines("A request failed")
    assert line["request_id"] == found.json()["error"]["request_id"]


async def test_a_row_that_is_refused_in_its_place_names_its_request(house: House) -> None:
    body = {"rows": [{"values": [1.0]}, {"values": [1.0]}]}
    async with house.client() as client:
        found = await client.post(
            "/models/extreme-events", json=body, headers={"X-Request-ID": "req-of-bob"}
        )
    assert [each["error"]["request_id"] for each in found.json()] == ["req-of-bob"] * 2
