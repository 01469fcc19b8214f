"""One key cannot fill a gateway's memory with large bodies that it never ends."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from access.keys import Role
from deployments.api.errors import OverloadedError, QuotaError
from deployments.gateway.bodies.room import PER_KEY, BodyRoom
from tests.deployments.house import PATH, House
from tests.waiting import until

HALF = b'{"rows":[' + b" " * 20_000


async def unended(end: asyncio.Event) -> AsyncIterator[bytes]:
    yield HALF
    await end.wait()
    yield b"]}"


async def test_more_large_bodies_than_a_key_may_send_are_refused_and_nobody_elses(
    house: House, url: str
) -> None:
    end = asyncio.Event()
    room = house.context.lanes.room
    key, other = (
        {"X-API-Key": house.keys[role], "content-type": "application/json"}
        for role in (Role.CLIENT, Role.OPERATOR)
    )
    async with httpx.AsyncClient(base_url=url, timeout=20) as client:
        sent = [
            asyncio.create_task(client.post(PATH, headers=key, content=unended(end)))
            for _ in range(PER_KEY)
        ]
        await until(lambda: room._held.total() == PER_KEY)
        refused = await client.post(PATH, headers=key, content=HALF * 10 + b"]}")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        # Small ones are read as ever, and so are the large ones of others.
        for headers, content in ((key, b"{}x"), (other, HALF * 10 + b"]}")):
            found = await client.post(PATH, headers=headers, content=content)
            assert found.status_code == 422
        end.set()
        assert {each.status_code for each in await asyncio.gather(*sent)} == {422}
    assert not room._held


def test_all_keys_together_are_bounded_too() -> None:
    room = BodyRoom(per_key=2, in_all=3)
    for key in ("ada", "ada", "bob"):
        room.take(key)
    with pytest.raises(QuotaError):
        room.take("ada")
    with pytest.raises(OverloadedError):
        room.take("bob")
    room.give_back("ada")
    room.take("bob")
