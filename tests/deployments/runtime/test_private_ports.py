import asyncio
import socket
from typing import Any

import pytest
import ray
from ray.serve._private import replica
from ray.serve.config import HTTPOptions

from deployments.runtime.private_ports import bind_to_own_address
from tests.ports import any_free_port
from tests.waiting import until

# Linux answers on all of 127.0.0.0/8, so each can stand for a node's address.
NODE, SOMEWHERE_ELSE = "127.0.0.3", "127.0.0.2"


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"here"})


def listens(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("add_port_to_grpc_server", "start_asgi_http_server"):
        monkeypatch.setattr(replica, name, getattr(replica, name))  # put back after the test
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: NODE)


@pytest.mark.usefixtures("node")
@pytest.mark.timeout(60)
async def test_a_gateway_listens_on_loopback_and_at_its_nodes_address_alone() -> None:
    bind_to_own_address()
    bind_to_own_address()  # each replica of a process asks for it
    port = any_free_port()
    task, server = await replica.start_asgi_http_server(
        answer,
        HTTPOptions(host="0.0.0.0", port=port),
        event_loop=asyncio.get_running_loop(),
    )
    await until(lambda: listens("127.0.0.1", port))
    await until(lambda: listens(NODE, port))
    assert not listens(SOMEWHERE_ELSE, port)
    server.should_exit = True
    await task
    assert not listens("127.0.0.1", port)
    assert not listens(NODE, port)


# Serve leaves the socket that it could not bind to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("node")
@pytest.mark.timeout(60)
async def test_a_port_that_is_taken_at_one_address_is_given_up_at_both() -> None:
    bind_to_own_address()
    with socket.create_server((NODE, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="Failed to bind"):
            await replica.start_asgi_http_server(
                answer, HTTPOptions(port=port), event_loop=asyncio.get_running_loop()
            )
        await until(lambda: not listens("127.0.0.1", port))
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
