"""What the ingress does not read itself is bounded before anybody has shown a key."""

from collections.abc import AsyncIterator

import httpx
import pytest

from access.keys import Role
from deployments.gateway import shortcut
from deployments.gateway.ingress.small_bodies import MOST_BYTES
from deployments.gateway.shortcut import Shortcut, open_shortcut
from tests.deployments.house import House

PATHS = ("/models/tail/outcome", "/models/regime-detection/gate", "/docs/sign-in", "/nothing")
PIECE = b" " * 8192


class Upload:
    """A body without end."""

    def __init__(self) -> None:
        self.pieces = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.pieces < 1000:
            self.pieces += 1
            yield PIECE


@pytest.mark.parametrize("path", PATHS)
async def test_of_a_strangers_endless_body_hardly_anything_is_read(
    house: House,
    path: str,
) -> None:
    upload = Upload()
    async with house.stranger() as client:
        found = await client.post(
            path, content=upload, headers={"content-type": "application/json"}
        )
    assert (found.status_code, found.json()["error"]["code"]) == (413, "too_large")
    assert str(MOST_BYTES) in found.json()["error"]["message"]
    assert upload.pieces <= MOST_BYTES // len(PIECE) + 1


async def test_serve_is_given_no_large_body_either(house: House) -> None:
    passed = []

    async def behind(scope: object, receive: object, send: object) -> None:
        passed.append((scope, receive, send))

    upload = Upload()
    open_shortcut(house.ingress)
    try:
        transport = httpx.ASGITransport(app=Shortcut(behind))
        async with httpx.AsyncClient(transport=transport, base_url="http://ballast") as client:
            found = await client.post("/models/tail/outcome", content=upload)
    finally:
        shortcut._ingresses.clear()
    assert found.status_code == 413
    assert passed == []


async def test_small_bodies_are_read_as_before(house: House) -> None:
    async with house.client(Role.CLIENT) as client:
        found = await client.post("/models/tail/outcome", json={"decision_id": "x"})
    assert found.json()["error"]["fields"].keys() == {"body.decision_id", "body.values"}
    async with house.stranger() as client:
        found = await client.post("/models/tail/outcome", json={"decision_id": "x"})
    assert found.status_code == 401
