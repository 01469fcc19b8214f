"""uvicorn's own protocol on a transport that remembers what it was given to write."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from deployments.gateway.door import respond
from tests.waiting import until

BODY = b'{"data": 1}'


class Remembering(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = 0

    def write(self, data: Any) -> None:
        assert not self.closed
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed += 1

    def is_closing(self) -> bool:
        return bool(self.closed)

    def pause_reading(self) -> None:
        return

    def resume_reading(self) -> None:
        return


async def app(scope: Any, _receive: Any, send: Any) -> None:
    if scope["path"] == "/in-pieces":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})
    else:
        await respond(send, 200, BODY, [])


@pytest.fixture
async def protocol() -> HttpToolsProtocol:  # on the loop of the test
    config = Config(app, lifespan="off", log_config=None)
    config.load()
    return HttpToolsProtocol(config, ServerState(), {})


def request(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: here", *headers, "", ""]).encode()


async def test_an_answer_is_one_write(protocol: HttpToolsProtocol) -> None:
    transport = Remembering()
    protocol.connection_made(transport)
    protocol.data_received(request("/") + request("/"))
    await until(lambda: len(transport.written) == 2)
    for written in transport.written:
        head, _, body = written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body == BODY
    assert not transport.closed
    protocol.connection_lost(None)


async def test_it_is_written_before_the_connection_closes(protocol: HttpToolsProtocol) -> None:
    transport = Remembering()
    protocol.connection_made(transport)
    protocol.data_received(request("/", "connection: close"))
    await until(lambda: transport.closed > 0)
    assert len(transport.written) == 1
    assert transport.written[0].endswith(BODY)
    protocol.connection_lost(None)


async def test_what_others_send_goes_as_it_comes(protocol: HttpToolsProtocol) -> None:
    transport = Remembering()
    protocol.connection_made(transport)
    protocol.data_received(request("/in-pieces"))
    await until(lambda: len(transport.written) >= 3)
    assert b"".join(transport.written).endswith(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
    protocol.connection_lost(None)
