"""Every peer in each way that its documentation recommends for speed on a few processors."""

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from benchmarks.speed.bodies import BASELINE_MS, DIALECTS, Row, write_bodies
from benchmarks.speed.environments import peer_python
from benchmarks.speed.redis_server import redis_running
from benchmarks.speed.servers import Launch, answers, running
from benchmarks.speed.target import Contender, Target

PORTS = {"litserve": 8301, "mlserver": 8302, "bentoml": 8305, "plain": 8306}
PEERS = Path(__file__).parents[1] / "peers"


@dataclass(frozen=True)
class Ground:
    """What all contenders share: the folder for everything made, the model and the rows."""

    home: Path
    model: Path
    rows: Sequence[Row]
    python: Path
    """Ballast's own interpreter, which also runs the plain program."""

    def target(self, dialect: str, url: str, headers: dict[str, str] | None = None) -> Target:
        path = self.home / "bodies" / f"{dialect}.jsonl"
        return Target(url, headers or {}, write_bodies(path, DIALECTS[dialect](self.rows)))

    @cached_property
    def env(self) -> dict[str, str]:
        return {"BENCH_MODEL": str(self.model.resolve()), "OMP_NUM_THREADS": "1"}


def litserve(ground: Ground) -> list[Contender]:
    """Follow its pages on batching and on processors; the fast queue is on throughout."""
    variants = ("1 worker", "2 workers", "batches of 64", "batches of 64, 2 workers")
    return [
        Contender("litserve", variant, partial(_serve_litserve, ground, variant), _of_quantiles)
        for variant in variants
    ]


@contextmanager
def _serve_litserve(ground: Ground, variant: str) -> Iterator[Target]:
    port = PORTS["litserve"]
    python = peer_python("litserve", PEERS, ground.home / "envs")
    batch = "64" if variant.startswith("batches") else "1"
    workers = "2" if variant.endswith("2 workers") else "1"
    argv = [str(python), str(PEERS / "litserve" / "server.py"), str(port), batch, workers]
    with _up(
        ground, "litserve", argv, {}, ground.target("model", _url(port, "/predict"))
    ) as target:
        yield target


def mlserver(ground: Ground) -> list[Contender]:
    """Follow its pages on parallel inference and on adaptive batching."""
    variants = (
        "in process",
        "in process, batches of 64",
        "2 parallel workers",
        "2 parallel workers, batches of 64",
    )
    return [
        Contender("mlserver", variant, partial(_serve_mlserver, ground, variant), _of_v2)
        for variant in variants
    ]


@contextmanager
def _serve_mlserver(ground: Ground, variant: str) -> Iterator[Target]:
    port = PORTS["mlserver"]
    python = peer_python("mlserver", PEERS, ground.home / "envs")
    env = {
        "MLSERVER_DEBUG": "false",
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(port + 1),
        "MLSERVER_METRICS_PORT": str(port + 2),
        "MLSERVER_PARALLEL_WORKERS": "2" if "parallel" in variant else "0",
        "MLSERVER_MODEL_NAME": "tail",
        "MLSERVER_MODEL_IMPLEMENTATION": "runtime.Quantiles",
        "PYTHONPATH": str(PEERS / "mlserver"),
    }
    if "batches" in variant:
        env |= {"MLSERVER_MODEL_MAX_BATCH_SIZE": "64", "MLSERVER_MODEL_MAX_BATCH_TIME": "0.001"}
    argv = [str(python.with_name("mlserver")), "start", str(_scratch(ground, "mlserver"))]
    target = ground.target("v2", _url(port, "/v2/models/tail/infer"))
    with _up(ground, "mlserver", argv, env, target):
        yield target


def bentoml(ground: Ground) -> list[Contender]:
    """Follow its pages on workers and on adaptive batching; the access log is off, as for all."""
    variants = ("1 worker", "2 workers", "batches of 64", "batches of 64, 2 workers")
    return [
        Contender("bentoml", variant, partial(_serve_bentoml, ground, variant), _of_bento)
        for variant in variants
    ]


@contextmanager
def _serve_bentoml(ground: Ground, variant: str) -> Iterator[Target]:
    port, batched = PORTS["bentoml"], variant.startswith("batches")
    python = peer_python("bentoml", PEERS, ground.home / "envs")
    env = {
        "BENTOML_HOME": str(_scratch(ground, "bentoml")),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENCH_WORKERS": "2" if variant.endswith("2 workers") else "1",
        "BENCH_BATCHED": str(int(batched)),
    }
    argv = [str(python.with_name("bentoml")), "serve", "service:Tail", "--host", "127.0.0.1"]
    argv += ["--port", str(port), "--working-dir", str(PEERS / "bentoml")]
    target = ground.target("array" if batched else "model", _url(port, "/predict"))
    with _up(ground, "bentoml", argv, env, target):
        yield target


def plain(ground: Ground) -> list[Contender]:
    variants = ("1 worker", "2 workers")
    return [
        Contender("plain", variant, partial(_serve_plain, ground, variant), _of_answer)
        for variant in variants
    ]


@contextmanager
def _serve_plain(ground: Ground, variant: str) -> Iterator[Target]:
    port, key = PORTS["plain"], secrets.token_urlsafe(24)
    argv = [str(ground.python), "-m", "uvicorn", "app:app", "--app-dir", str(PEERS / "plain")]
    argv += ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    argv += ["--workers", variant[0]]
    target = ground.target("platform", _url(port, "/models/tail-slo"), {"X-API-Key": key})
    with redis_running(ground.home / "logs" / "redis.log") as socket:
        env = {"BENCH_KEY": key, "BENCH_REDIS_URL": f"unix://{socket}"}
        with _up(ground, "plain", argv, env, target):
            yield target


CONTENDERS: dict[str, Callable[[Ground], list[Contender]]] = {
    "litserve": litserve,
    "mlserver": mlserver,
    "bentoml": bentoml,
    "plain": plain,
}


@contextmanager
def _up(
    ground: Ground, name: str, argv: list[str], env: dict[str, str], target: Target
) -> Iterator[Target]:
    launch = Launch(
        name=name,
        argv=argv,
        env={**ground.env, **env},
        cwd=_scratch(ground, name),
        port=PORTS[name],
        log=ground.home / "logs" / f"{name}.log",
    )
    with running(launch, lambda: answers(target)):
        yield target


def _scratch(ground: Ground, name: str) -> Path:
    """Make a folder for whatever the server leaves where it runs."""
    folder = ground.home / "run" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def _url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"


def _of_quantiles(answer: Any) -> Sequence[float]:
    return [float(value) for value in answer["quantiles"]]


def _of_v2(answer: Any) -> Sequence[float]:
    return [float(value) for value in answer["outputs"][0]["data"]]


def _of_bento(answer: Any) -> Sequence[float]:
    return _of_quantiles(answer) if isinstance(answer, dict) else [float(x) for x in answer[0]]


def _of_answer(answer: Any) -> Sequence[float]:
    names = ("p50_pred", "p95_pred", "p99_pred", "p999_pred")
    latencies = [answer["interval"]["lower"], *(answer["data"][name] for name in names)]
    return [math.log(latency / BASELINE_MS) for latency in latencies]
