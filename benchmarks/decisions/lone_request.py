"""A lone tail-slo request over the whole DAG in one process: the processor time of all its stages.

The deployments are the real ones, over real sockets and with a real Redis for the ledger; Ray, the
network between machines and HTTP's own bytes are left out.
"""

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from starlette.types import ASGIApp, Scope

from access.key_store import KeyStore
from access.keys import Role
from benchmarks.decisions.figures import is_quick, show
from benchmarks.decisions.ingress import ask_once, scope_with
from models.model_version import ModelVersion, folder_name
from models.pointer import write_pointer
from models.registry import CHAMPION
from models.tail.training import train_tail
from models.tail.xgboost_quantile import TailModel
from settings.redis_connection import open_redis
from tests.deployments.house import NOW, opened
from tests.fortnight import fortnight
from tests.redis_server import running

PARTS = 40


def register_model(home: Path) -> None:
    models = home / "models"
    folder = models / folder_name(TailModel.name) / "1.0.0"
    columns = fortnight().columns()
    trained = train_tail(columns, seed=3, threads=1, progress=lambda *_: None, requests=4_000)
    trained.model.save(folder)
    write_pointer(models, CHAMPION, ModelVersion(TailModel.name, "1.0.0", folder, NOW))


async def microseconds(url: str, calls: int) -> list[float]:
    """Ask one request after another; give the processor time of each part's mean request."""
    redis = open_redis(url)
    async with opened(redis) as house:
        scope = scope_with(await KeyStore(redis).create(Role.CLIENT, "bench", NOW))
        await until_admitted(house.ingress, scope)
        found = []
        for _ in range(PARTS):
            used = time.process_time()
            for _ in range(calls):
                await ask_once(house.ingress, scope)
            found.append((time.process_time() - used) / calls * 1e6)
    await redis.aclose()
    return found


async def until_admitted(ingress: ASGIApp, scope: Scope) -> None:
    """Wait until the key is known and every stage answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        start, _ = await ask_once(ingress, scope)
        if start["status"] == 200:  # noqa: PLR2004 - answered
            return
        await asyncio.sleep(0.05)
    raise SystemExit("the house gives no answers")


def run(*, quick: bool) -> None:
    with ExitStack() as undo:
        home = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        server = undo.enter_context(running())
        register_model(home)
        # Of this process alone, which ends with the bench. Without Ray it belongs to no cluster:
        # it listens on loopback, and finds no history.
        os.environ |= {"BALLAST_HOME": str(home), "REDIS_URL": server.url}
        found = sorted(asyncio.run(microseconds(server.url, 10 if quick else 100)))
    figures = (found[0], found[len(found) // 4], statistics.median(found))
    row = ["CPU µs", *(f"{each:.0f}" for each in figures)]
    show("A lone tail-slo request, all stages", ("", "least", "quartile", "median"), [row])


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
