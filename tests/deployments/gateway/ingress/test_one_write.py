"""An answer in one write is what uvicorn would have written."""

from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deployments.gateway.ingress.ingress import UP_TO_DATE, respond
from tests.deployments.gateway.uvicorn_protocol import (
    Remembering,
    answered,
    new_protocol,
    request,
)
from tests.deployments.house import House
from tests.waiting import until

BODY = b'{"data": 1}'
RETRY = (b"retry-after", b"1")


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
    return new_protocol(app)


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
    ours = await answered(app, request("/refused", *headers, **how), access_log=access_log)
    theirs = await answered(app, request("/by-uvicorn", *headers, **how), access_log=access_log)
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


@pytest.mark.parametrize(("profile", "writes"), [("fast", 1), ("plain", 2)])
async def test_in_plain_uvicorn_writes_all_by_itself(house: House, writes: int) -> None:
    protocol, transport = new_protocol(house.ingress), Remembering()
    protocol.connection_made(transport)
    protocol.data_received(request(UP_TO_DATE))
    await until(lambda: protocol.cycle is not None and protocol.cycle.response_complete)
    assert len(transport.written) == writes
    assert b'{"up_to_date":' in b"".join(transport.written)
    protocol.connection_lost(None)
