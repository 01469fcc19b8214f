"""HEAD through a real server: the answer is over with its head, also of a stream."""

import httpx

from access.keys import Role
from tests.deployments.house import House
from tests.waiting import until


async def test_a_stream_asked_by_head_does_not_hold_up_what_follows_on_its_connection(
    house: House,
    url: str,
) -> None:
    key = {"X-API-Key": house.keys[Role.VIEWER]}
    # One connection, as HAProxy keeps it: the stream would hold it for 25 s.
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=10) as client:
        found = await client.head("/streams/x/events", headers=key)
        assert found.status_code == 200
        assert found.headers["content-type"].startswith("text/event-stream")
        assert (await client.get("/health")).json() == {"status": "ok"}
    await until(lambda: not house.context.listeners._open)
