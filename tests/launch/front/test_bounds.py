"""Clients that are slow, idle or too many are bounded, and the others are answered meanwhile."""

import socket
from contextlib import ExitStack, suppress

from deployments.gateway.routes.features import MOST_CHARACTERS
from tests.launch.front.conftest import Front, eventually

HALF_A_HEAD = b"POST /models/tail-slo HTTP/1.1\r\nHost: x\r\nX-Api"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
PER_ADDRESS = 50
ANOTHER_ADDRESS = "127.0.0.2"


def received(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_what_does_not_arrive_is_given_up(front: Front) -> None:
    with front.connection() as nothing, front.connection() as head, front.connection() as body:
        head.sendall(HALF_A_HEAD)
        body.sendall(HALF_A_BODY)
        assert received(nothing) == b""
        assert received(head).startswith(b"HTTP/1.1 408 ")
        answer = received(body)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"retry-after: 1" in answer
    assert b'{"error":{"code":"too_slow"' in answer


def test_the_longest_list_of_features_fits_into_a_head(front: Front) -> None:
    with front.connection() as client:
        path = b"/features/vector?features=" + b"%2C" * MOST_CHARACTERS
        client.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert received(client).startswith(b"HTTP/1.1 200 ")


def test_half_sent_heads_of_one_address_leave_room_for_the_others(front: Front) -> None:
    with ExitStack() as open_until_here:
        for _ in range(PER_ADDRESS + 200):
            with suppress(ConnectionError):  # beyond its bound it is hung up on
                client = open_until_here.enter_context(front.connection(ANOTHER_ADDRESS))
                client.sendall(HALF_A_HEAD)
        assert front.ask().status_code == 200


def test_an_address_with_too_many_connections_is_told_so(front: Front) -> None:
    with ExitStack() as open_until_here:
        for _ in range(PER_ADDRESS):
            client = open_until_here.enter_context(front.connection(ANOTHER_ADDRESS))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        with front.connection(ANOTHER_ADDRESS) as one_more:
            one_more.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = received(one_more)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1" in answer.lower()
        assert b'{"error":{"code":"too_many_connections"' in answer
    eventually("it may come again", lambda: _is_let_in(front))


def _is_let_in(front: Front) -> bool:
    with front.connection(ANOTHER_ADDRESS) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return received(client).startswith(b"HTTP/1.1 200 ")
