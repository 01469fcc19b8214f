"""uvicorn's own protocol on a transport that remembers what it was given to write."""

import asyncio
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from deployments.gateway.ingress import respond
from tests.waiting import until

BODY = b'{"data": 1}'
RETRY = (b"retry-after", b"1")


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
    elif scope["path"] == "/by-uvicorn":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"11"), RETRY]
        await send({"type": "http.response.start", "status": 429, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})
    elif scope["path"] == "/refused":
        await respond(send, 429, BODY, [RETRY])
    else:
        await respond(send, 200, BODY, [])


@pytest.fixture
async def protocol() -> HttpToolsProtocol:  # on the loop of the test
    return new_protocol()


def new_protocol(*, access_log: bool = False) -> HttpToolsProtocol:
    config = Config(app, lifespan="off", log_config=None, access_log=access_log)
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"Thu, 26 Nov 2026 20:00:00 GMT"), (b"server", b"uvicorn")]
    return HttpToolsProtocol(config, state, {})


def request(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "host: here", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def answered(raw: bytes, *, access_log: bool = False) -> tuple[bytes, int]:
    """Give all that is written to a connection that sends this, and how often it was closed."""
    protocol, transport = new_protocol(access_log=access_log), Remembering()
    protocol.connection_made(transport)
    protocol.data_received(raw)
    await until(lambda: protocol.cycle is not None and protocol.cycle.response_complete)
    await until(lambda: not protocol.tasks)
    protocol.connection_lost(None)
    return b"".join(transport.written), transport.closed


@pytest.mark.parametrize("access_log", [False, True])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"version": "1.0"},
        {"method": "HEAD"},
        {"headers": ["connection: close"]},
        {"version": "1.0", "headers": ["connection: keep-alive"]},
        {"headers": ["expect: 100-continue"]},
    ],
)
async def test_it_is_what_uvicorn_would_have_written(how: dict[str, Any], access_log: bool) -> None:
    how = dict(how)
    headers = how.pop("headers", [])
    ours = await answered(request("/refused", *headers, **how), access_log=access_log)
    theirs = await answered(request("/by-uvicorn", *headers, **how), access_log=access_log)
    assert ours == theirs
    assert ours[0].startswith(b"HTTP/1.1 429 ")


async def test_a_client_that_has_gone_is_sent_nothing(protocol: HttpToolsProtocol) -> None:
    transport = Remembering()
    protocol.connection_made(transport)
    protocol.data_received(request("/"))
    protocol.connection_lost(None)
    await until(lambda: not protocol.tasks)
    assert not transport.written


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
