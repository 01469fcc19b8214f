from importlib.util import find_spec
from pathlib import Path

import pytest

from deployments.launch.haproxy import ERROR_PAGE, hardened

PAGE = Path("/run/503.http")
INNER = Path("/run/inner.sock")
AS_SERVE_WRITES_IT = """\
global
    stats socket /run/admin.sock mode 666 level admin expose-fd listeners
defaults
    errorfile 502 /run/500.http
    errorfile 503 /run/500.http
    errorfile 504 /run/500.http
frontend prometheus
    bind :9101
frontend http_frontend
    bind {host}:8000
    acl routes path -i /-/routes
listen stats
  bind *:8404
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "*", "10.0.0.7"])
def test_only_the_public_listener_keeps_its_address(host: str) -> None:
    binds = [
        line.strip()
        for line in hardened(AS_SERVE_WRITES_IT.format(host=host), PAGE, INNER).splitlines()
        if line.strip().startswith("bind")
    ]
    assert binds == [
        "bind 127.0.0.1:9101",
        "bind unix@/run/inner.sock mode 600",
        "bind 127.0.0.1:8404",
        f"bind {host}:8000",
    ]


def test_errors_become_503_with_a_time_to_come_back() -> None:
    edited = hardened(AS_SERVE_WRITES_IT.format(host="*"), PAGE, INNER)
    assert [line.split() for line in edited.splitlines() if "errorfile" in line] == [
        ["errorfile", status, "/run/503.http"] for status in ("502", "503", "504")
    ]
    head, _, body = ERROR_PAGE.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in head
    assert f"Content-Length: {len(body)}".encode() in head


def test_the_admin_socket_is_its_owners_alone() -> None:
    edited = hardened(AS_SERVE_WRITES_IT.format(host="*"), PAGE, INNER)
    assert "mode 600" in edited
    assert "mode 666" not in edited


def test_editing_twice_changes_nothing_more() -> None:
    once = hardened(AS_SERVE_WRITES_IT.format(host="*"), PAGE, INNER)
    assert hardened(once, PAGE, INNER) == once
    assert once.count("frontend front") == 1


def test_the_front_listener_tries_again_what_the_inner_one_hung_up_on() -> None:
    edited = hardened(AS_SERVE_WRITES_IT.format(host="*"), PAGE, INNER)
    front = edited.partition("frontend front\n")[2]
    assert "retry-on conn-failure empty-response" in front
    assert "server inner unix@/run/inner.sock" in front
    assert "if { path -i /-/routes }" in front


def test_this_release_of_serve_still_writes_what_is_edited() -> None:
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    template = (Path(spec.origin).parent / "serve/_private/haproxy_templates.py").read_text()
    for line in (
        "frontend prometheus",
        "frontend http_frontend",
        "listen stats",
        "bind :{{ config.metrics_port }}",
        "bind *:{{ config.stats_port }}",
        "mode 666 level admin",
        "errorfile 503 {{ config.error_file_path }}",
    ):
        assert line in template
