"""Feast with Redis as its online store: its server, and its store inside a process."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from benchmarks.features_speed.contender import Contender, OverHttp, Reader, refuse_other_values
from benchmarks.features_speed.in_process import InProcess
from benchmarks.features_speed.subject import MEASURED, NAMES, SIZES, Subject, write
from benchmarks.speed.contenders import PEERS
from benchmarks.speed.environments import peer_python
from benchmarks.speed.redis_server import redis_binary
from benchmarks.speed.servers import Launch, ServerError, answers, first_answer, running
from benchmarks.speed.target import Target

PORT, REDIS_PORT = 8311, 8312
HERE = PEERS / "feast"
# On a busy machine its imports alone take minutes.
READY_SECONDS = 300.0
SERVER, STORE = "feast", "feast in process"
_STORE_FILE = """\
project: bench
provider: local
registry: {{path: registry.db, cache_ttl_seconds: 0}}
online_store: {{type: redis, connection_string: "127.0.0.1:{port}", client: {client}}}
offline_store: {{type: file}}
entity_key_serialization_version: 3
"""


@dataclass(frozen=True)
class Ground:
    home: Path
    subject: Subject

    @property
    def python(self) -> Path:
        return peer_python("feast", PEERS, self.home / "envs").absolute()

    @property
    def values(self) -> list[list[float]]:
        """Give fifty stored numbers an entity: Feast computes none of them."""
        spare = len(NAMES) - len(MEASURED)
        rows = [list(row.values()) for row in self.subject.rows]
        return [row + row[:spare] for row in rows]

    def bodies(self, size: int, *, by_service: bool) -> list[dict[str, object]]:
        what: dict[str, object] = (
            {"feature_service": "fifty"}
            if by_service
            else {"features": [f"vectors:{name}" for name in NAMES]}
        )
        return [what | {"entities": {"entity": each}} for each in self.subject.asked[size]]


def servers(ground: Ground) -> list[Contender]:
    """One worker or two, and the fifty by their names or as a service."""
    return [
        Contender(
            SERVER,
            f"{workers} worker{'s' * (workers > 1)}, {'service' if by_service else 'names'}",
            partial(_serve, ground, workers, by_service=by_service),
        )
        for workers in (1, 2)
        for by_service in (True, False)
    ]


def stores(ground: Ground) -> list[Contender]:
    """Read through either of its Redis clients."""
    return [
        Contender(STORE, client, partial(_open, ground, client)) for client in ("redis", "glide")
    ]


@contextmanager
def _serve(ground: Ground, workers: int, *, by_service: bool) -> Iterator[Reader]:
    folder = ground.home / "bodies" / ("feast-service" if by_service else "feast-names")
    url = f"http://127.0.0.1:{PORT}/get-online-features"
    targets = {
        size: Target(url, {}, write(folder, ground.bodies(size, by_service=by_service), size))
        for size in SIZES
    }
    with _repository(ground, "redis") as repository:
        argv = [str(ground.python.with_name("feast")), "serve", "--port", str(PORT)]
        argv += ["--workers", str(workers), "--no-access-log"]
        # A worker would be replaced after every thousand requests.
        argv += ["--max-requests", "0", "--max-requests-jitter", "0"]
        log = ground.home / "logs" / "feast.log"
        launch = Launch("feast", argv, _quietly(), repository, PORT, log, READY_SECONDS)
        with running(launch, lambda: answers(targets[1])):
            _check(ground, json.loads(first_answer(targets[1])))
            yield OverHttp(targets)


@contextmanager
def _open(ground: Ground, client: str) -> Iterator[Reader]:
    folder = ground.home / "bodies" / "feast-service"
    bodies = {size: write(folder, ground.bodies(size, by_service=True), size) for size in SIZES}
    with _repository(ground, client) as repository:
        argv = [str(ground.python), str(HERE / "in_process.py"), str(repository)]
        with InProcess.opened(argv, _quietly(), bodies) as reader:
            yield reader


@contextmanager
def _repository(ground: Ground, client: str) -> Iterator[Path]:
    """Run Redis with everything stored in it, as Feast's own `write_to_online_store` does."""
    with TemporaryDirectory(prefix="bench-feast-") as name, _redis(ground, Path(name)):
        folder = Path(name)
        (folder / "feature_store.yaml").write_text(
            _STORE_FILE.format(port=REDIS_PORT, client=client)
        )
        given = {"features": NAMES, "entities": ground.subject.entities, "rows": ground.values}
        (folder / "vectors.json").write_text(json.dumps(given))
        _write_all(ground, folder)
        yield folder


def _write_all(ground: Ground, folder: Path) -> None:
    done = subprocess.run(
        [str(ground.python), str(HERE / "repo.py"), str(folder)],
        env={**os.environ, **_quietly()},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(f"Feast could not store the vectors: {done.stderr[-2000:]}")


@contextmanager
def _redis(ground: Ground, folder: Path) -> Iterator[None]:
    """Run the same engine with the same append-only file as Ballast's, where Feast looks."""
    argv = [redis_binary(), "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--dir", str(folder)]
    argv += ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]
    launch = Launch("redis", argv, {}, folder, REDIS_PORT, ground.home / "logs" / "redis.log")
    client = redis.Redis(port=REDIS_PORT)
    with running(launch, lambda: _pings(client)):
        yield
    client.close()


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _quietly() -> dict[str, str]:
    return {"FEAST_USAGE": "False", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}


def _check(ground: Ground, answer: dict[str, object]) -> None:
    asked = ground.subject.asked[1][0][0]
    expected = ground.values[ground.subject.entities.index(asked)]
    refuse_other_values("Feast", values_of(answer), expected)


def values_of(answer: dict[str, object]) -> Sequence[float]:
    """Read the first entity's values off an answer of Feast's server, in the order of NAMES."""
    names = answer["metadata"]["feature_names"]  # type: ignore[index] # JSON of a known shape
    columns = dict(zip(names, answer["results"], strict=True))  # type: ignore[call-overload] # as above
    return [float(columns[name]["values"][0]) for name in NAMES]
