"""What is read off and changed in the configuration that this release of Serve really writes."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions

from launch.front.haproxy_process import is_valid, real_binary
from launch.front.servers import Published, Server, gateways_in, publish, published
from launch.haproxy import closed

GATEWAYS = [
    ServerConfig("SERVE_REPLICA__ballast-gateway-a1", "127.0.0.1", 30000),
    ServerConfig("SERVE_REPLICA__ballast-gateway-b2", "10.0.0.7", 30001),
]
FALLBACK = ServerConfig("SERVE_PROXY_ACTOR-fallback", "127.0.0.1", 8500)


def written_by_serve(folder: Path, servers: list[ServerConfig]) -> Path:
    backend = BackendConfig(
        name="http-ballast",
        path_prefix="/",
        app_name="ballast",
        servers=servers,
        fallback_server=FALLBACK,
    )
    config = HAProxyConfig(
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "server-state"),
        metrics_enabled=False,
        http_options=HTTPOptions(host="0.0.0.0", port=8000),
        is_head=True,
    )
    file = folder / "haproxy.cfg"
    backends = {backend.name: backend} if servers else {}
    HAProxyApi(config, backends, str(file))._generate_config_file_internal()
    return file


def test_the_gateways_are_found_and_serves_own_proxy_is_not_one(tmp_path: Path) -> None:
    config = written_by_serve(tmp_path, GATEWAYS).read_text()
    assert FALLBACK.name in config
    assert gateways_in(config) == [
        Server("SERVE_REPLICA__ballast-gateway-a1", "127.0.0.1:30000"),
        Server("SERVE_REPLICA__ballast-gateway-b2", "10.0.0.7:30001"),
    ]


def test_a_serve_that_knows_of_no_gateway_yet_takes_none_away(tmp_path: Path) -> None:
    known = gateways_in(written_by_serve(tmp_path, GATEWAYS).read_text())
    publish(tmp_path / "front", known)
    publish(tmp_path / "front", gateways_in(written_by_serve(tmp_path, []).read_text()))
    assert published(tmp_path / "front") == known


def test_serves_haproxy_is_left_no_port_and_no_socket_for_others(tmp_path: Path) -> None:
    file = written_by_serve(tmp_path, GATEWAYS)
    edited = closed(file.read_text(), tmp_path)
    binds = [line.split() for line in edited.splitlines() if line.split()[:1] == ["bind"]]
    assert len(binds) == 3
    assert all(bind[1].startswith(f"unix@{tmp_path}/") for bind in binds)
    assert all(bind[2:] == ["mode", "600"] for bind in binds)
    assert len({bind[1] for bind in binds}) == 3
    assert "mode 666" not in edited
    file.write_text(edited)
    assert is_valid(real_binary(), file, listener=sys.stdout.fileno())


def test_editing_twice_changes_nothing_more(tmp_path: Path) -> None:
    once = closed(written_by_serve(tmp_path, GATEWAYS).read_text(), tmp_path)
    assert closed(once, tmp_path) == once


def test_it_tells_the_front_and_becomes_haproxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BALLAST_FRONT", str(tmp_path / "front"))
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    file = written_by_serve(tmp_path, GATEWAYS)
    command = [sys.executable, "-c", "from launch.haproxy import main; main()"]
    done = subprocess.run(
        [*command, "-db", "-f", str(file), "-c"], capture_output=True, text=True, check=True
    )
    assert "Configuration file is valid" in done.stdout
    assert len(published(tmp_path / "front")) == 2


def test_who_looks_often_sees_each_change(tmp_path: Path) -> None:
    looks = Published(tmp_path)
    assert looks.read() == []
    for number in range(20):
        servers = [Server("one", f"127.0.0.1:{number}")]
        publish(tmp_path, servers)
        assert looks.read() == servers
        assert looks.read() == servers


def test_who_looks_often_reads_what_has_not_changed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = [Server("one", "127.0.0.1:1")]
    publish(tmp_path, servers)
    looks = Published(tmp_path)
    assert looks.read() == servers
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read again"))
    assert looks.read() == servers
