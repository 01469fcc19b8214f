"""Each request has an id of the front's own, which it keeps where it is sent to another gateway."""

from collections.abc import Iterator

import httpx
import pytest

from deployments.api.front_ids import HEADER, given_id
from launch.front.servers import publish
from tests.launch.front.conftest import Front, Gateway, eventually


@pytest.fixture
def other(front: Front, gateway: Gateway) -> Iterator[Gateway]:
    """Start a second gateway behind the same front."""
    other = Gateway("two")
    publish(front.folder, [gateway.server, other.server])
    eventually("both are asked", lambda: front.ask().text and other.asked and gateway.asked)
    for each in (gateway, other):
        each.asked.clear()
        each.front_ids.clear()
    yield other
    other.close()


def test_a_request_that_is_sent_again_keeps_its_id(
    front: Front, gateway: Gateway, other: Gateway
) -> None:
    gateway.hangs_up = True
    with httpx.Client() as client:
        while not gateway.front_ids:
            assert client.post(front.url + "/config/rollback", json={}).text == "two"
    ((given,),) = gateway.front_ids
    assert given_id([(HEADER.lower().encode(), given.encode())]) == given
    assert given == other.front_ids[-1][0]
    assert len({each[0] for each in other.front_ids}) == len(other.front_ids)


def test_no_client_gives_an_id(front: Front, gateway: Gateway) -> None:
    mine = "1772000000000-6f1c2a34-0b1c-4d5e-8f90-a1b2c3d4e5f6"
    with httpx.Client(headers={HEADER: mine, HEADER.upper(): mine}) as client:
        client.post(front.url + "/config/rollback")
        client.get(front.url + "/streams/a")
    of_post, of_get = gateway.front_ids
    assert len(of_post) == 1
    assert of_post != [mine]
    assert of_get == []
