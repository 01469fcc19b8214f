"""Requests to a house, and what comes back of them."""

import json
from typing import Any

from tests.deployments.house import House


async def post(house: House, path: str, body: Any) -> Any:
    """Give the answer to a body that must be answered."""
    async with house.client() as client:
        found = await client.post(path, json=body)
    assert found.status_code == 200, found.text
    return found.json()


async def refused(house: House, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Give the status of a body, which may be no JSON, and the error where there is one."""
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {"content-type": "application/json"}
    async with house.client() as client:
        found = await client.post(path, content=content, headers=headers)
    answer = found.json()
    return found.status_code, answer.get("error", {}) if isinstance(answer, dict) else {}
