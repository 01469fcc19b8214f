"""Serve's own paths are not there for clients, however they are spelled."""

import pytest

from tests.launch.front.conftest import Front, Gateway

SPELLINGS = [
    "/-/routes",
    "/%2d/routes",
    "/%2D/routes",
    "/-%2Froutes",
    "/-%2froutes",
    "/%2d%2froutes",
    "//-/routes",
    "///-/routes",
    "/%2f-/routes",
    "/-/Routes",
    "/-/r%6futes",
    "/-/routes/",
    "/-/routes?x=1",
    "/-/routes;x",
    "/-//routes",
    "/./-/routes",
    "/../-/routes",
    "/%2e/-/routes",
    "/%2e%2e/-/routes",
    "/api/v1/-/routes",
    "/API/v1/-/routes",
    "//api/v1//-/routes",
    "/api/v1/%2d/routes",
    "/-/healthz",
    "/%2d/healthz",
    "/-",
    "/-/",
    "http://ballast/-/routes",
    "http://ballast/%2d/routes",
    "http://ballast//-/routes",
]


def raw(front: Front, target: str) -> bytes:
    """Send a target as it is: HTTP clients would tidy it up."""
    with front.connection() as client:
        client.sendall(
            f"GET {target} HTTP/1.1\r\nHost: ballast\r\nConnection: close\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_every_spelling_is_404_in_our_shape(front: Front, gateway: Gateway) -> None:
    for target in SPELLINGS:
        answer = raw(front, target)
        assert answer.startswith(b"HTTP/1.1 404 "), (target, answer)
        assert b'{"error":{"code":"not_found"' in answer, target
        assert b"application/json" in answer, target
    assert gateway.asked == []


@pytest.mark.parametrize("target", ["/models/tail-slo", "/streams/-/events", "/-x", "/a-/b"])
def test_other_paths_are_let_through(front: Front, gateway: Gateway, target: str) -> None:
    assert raw(front, target).startswith(b"HTTP/1.1 200 ")
    assert gateway.asked == [target]
