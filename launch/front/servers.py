"""The gateways that the front sends requests to: read off Serve's configuration, kept in a file.

Serve knows which gateways there are and writes a configuration for its own HAProxy. The front takes
their addresses from it and nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

FILE = "gateways.json"
# Names the folder to the front and to `ballast-haproxy`, which tells it where the gateways are.
FOLDER_VARIABLE = "BALLAST_FRONT"
# Serve's own proxy is marked as a backup. It is left out: its answers have another shape than ours,
# and are 404 as long as it knows no routes.
_SERVER = re.compile(
    r"^\s+server\s+(?P<name>[\w.:-]+)\s+(?P<address>\S+:\d+)\s+check(?!.*\bbackup\b)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    address: str


def gateways_in(config: str) -> list[Server]:
    """Find the gateways in the configuration that Serve wrote for its HAProxy."""
    return [Server(found["name"], found["address"]) for found in _SERVER.finditer(config)]


def publish(folder: Path, servers: Sequence[Server]) -> None:
    """Tell the front where the gateways are, unless there are none.

    A Serve that has just started again writes a configuration without gateways before it has heard
    of them. The old ones are then the better guess: who is gone refuses the connection.
    """
    if not servers:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{FILE}.tmp"
    draft.write_bytes(orjson.dumps([asdict(server) for server in servers]))
    draft.replace(folder / FILE)


def published(folder: Path) -> list[Server]:
    """Read where the gateways are; nowhere before Serve has told."""
    try:
        return [Server(**row) for row in orjson.loads((folder / FILE).read_bytes())]
    except FileNotFoundError:
        return []


class Published:
    """The same, for who looks many times a second: the file is read where it is another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / FILE
        self._seen: tuple[int, int] | None = None
        self._servers: list[Server] = []

    def read(self) -> list[Server]:
        try:
            found = self._file.stat()
        except FileNotFoundError:
            self._seen, self._servers = None, []
            return []
        # It is replaced, never written to: another file has another number, or another time.
        seen = found.st_ino, found.st_mtime_ns
        if seen != self._seen:
            self._servers, self._seen = published(self._folder), seen
        return self._servers
