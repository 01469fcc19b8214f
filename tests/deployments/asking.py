"""Requests to a house, and what comes back of them."""

import asyncio
import json
import time
from typing import Any

import httpx

from tests.deployments.house import House
from tests.waiting import PATIENCE_SECONDS

BUSY = httpx.codes.SERVICE_UNAVAILABLE


async def post(house: House, path: str, body: Any) -> Any:
    """Give the answer to a body that must be answered, now or when the house says to come again."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with house.client() as client:
        found = await client.post(path, json=body)
        while found.status_code == BUSY and time.monotonic() < deadline:
            await asyncio.sleep(float(found.headers["retry-after"]))
            found = await client.post(path, json=body)
    assert found.status_code == httpx.codes.OK, found.text
    return found.json()


async def refused(house: House, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Give the status of a body, which may be no JSON, and the error where there is one."""
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": "application/json"}
    async with house.client() as client:
        found = await client.post(path, content=content, headers=headers)
    answer = found.json()
    return found.status_code, answer.get("error", {}) if isinstance(answer, dict) else {}
