import socket
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from settings.paths import LONGEST_SOCKET_PATH, Paths

FOLDERS = st.lists(
    st.text("abcdeé-_. ", min_size=1, max_size=30).filter(lambda name: name.strip(". ")),
    min_size=1,
    max_size=10,
)


@given(FOLDERS)
def test_the_socket_path_always_fits_and_is_told_the_same_each_time(folders: list[str]) -> None:
    home = Path("/", *folders)
    path = Paths(home).redis_socket
    assert len(str(path).encode()) <= LONGEST_SOCKET_PATH
    assert path == Paths(home).redis_socket


@given(FOLDERS, FOLDERS)
def test_two_homes_never_share_a_socket(one: list[str], other: list[str]) -> None:
    if one != other:
        assert Paths(Path("/", *one)).redis_socket != Paths(Path("/", *other)).redis_socket


def test_a_shallow_home_keeps_its_socket_inside() -> None:
    assert Paths(Path("/srv/ballast")).redis_socket == Path("/srv/ballast/redis/redis.sock")


def test_the_longest_path_can_be_bound() -> None:
    with tempfile.TemporaryDirectory(prefix="bl") as folder:
        name = "s" * (LONGEST_SOCKET_PATH - len(folder) - 1)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/{name}")


def test_everything_but_a_displaced_socket_lies_under_home() -> None:
    home = Path("/srv") / ("deep" * 40)
    paths = Paths(home)
    inside = (paths.redis, paths.history, paths.mlflow_db, paths.models)
    for path in (*inside, paths.spool, paths.logs, paths.key_file):
        assert path.parent == home
    assert not paths.redis_socket.is_relative_to(home)
