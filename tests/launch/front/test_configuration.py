import resource
from pathlib import Path

import orjson
import pytest

from launch.front.configuration import PAGES, Limits, write_pages


@pytest.mark.parametrize(
    ("descriptors", "connections", "per_address"),
    [(20_000, 9_750, 6_000), (2_500, 1_000, 1_000), (resource.RLIM_INFINITY, 16_384, 6_000)],
)
def test_a_connection_takes_two_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, connections: int, per_address: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, descriptors))
    assert Limits.of_this_machine(6_000) == Limits(connections, per_address)


@pytest.mark.parametrize("status", PAGES)
def test_haproxys_own_answers_have_the_shape_of_all_refusals(tmp_path: Path, status: int) -> None:
    write_pages(tmp_path)
    head, _, body = (tmp_path / f"{status}.http").read_bytes().partition(b"\r\n\r\n")
    assert set(orjson.loads(body)["error"]) == {"code", "message", "fields", "request_id"}
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"\r\nContent-Type: application/json\r\n" in head
    if status in (502, 503, 504):
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head
    else:
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
