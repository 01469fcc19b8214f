"""The archive on a cluster of two nodes: it stays where its folder lies, or says where that is.

Both nodes run on this machine, each with a home of its own, as on two machines.
"""

import asyncio
import gc
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from deployments.history.client import HistoryAwayError, HistoryClient
from deployments.history.discovery import history
from deployments.history.questions import Questions
from observability.clickhouse.home import known_home
from observability.ledger.decision import Decision
from observability.ledger.stream import LedgerStream
from observability.ledger.writer import LedgerWriter
from settings.redis_connection import open_redis
from settings.redis_names import PrefixedRedis
from tests.redis_server import RedisServer, running

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]

FOUND_WITHIN_SECONDS = 120.0
ID = "0199aaaa-bbbb-7000-8000-{:012x}"


@pytest.fixture
def redis_of_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    with running() as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        monkeypatch.setenv("BALLAST_HISTORY_DAYS", "1")
        yield server


@pytest.fixture
async def redis(redis_of_all: RedisServer) -> AsyncIterator[PrefixedRedis]:
    client = open_redis(redis_of_all.url)
    yield client
    await client.aclose()


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Start a head that has no archive; this process is on it, and asks from there."""
    monkeypatch.setenv("BALLAST_HOME", str(tmp_path / "head"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    ray.init(address=cluster.address, namespace="ballast", logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    with warnings.catch_warnings():
        # Ray leaves sockets to the collector, which would find them in the midst of another test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def add_node(cluster: Cluster, home: Path) -> Any:
    return cluster.add_node(
        num_cpus=1, resources={"archive": 1}, env_vars={"BALLAST_HOME": str(home)}
    )


def begin_archive_on_the_other_node() -> None:
    """Have the first history started from there, as a gateway on that node does."""

    @ray.remote(num_cpus=0, resources={"archive": 0.01})  # type: ignore[untyped-decorator] # Ray's
    def begin() -> None:
        ray.get(history().progress.remote())

    ray.get(begin.remote())


async def write(redis: Any, folder: Path, n: int) -> Decision:
    decision = Decision(ID.format(n), b'{"decision_id":"%s"}' % ID.format(n).encode())
    async with LedgerWriter(redis, writer=f"w-{n}", spool_dir=folder, clock=time.time) as pen:
        await pen.append([decision])
    return decision


async def ask(client: HistoryClient, question: Any, *args: Any) -> Any:
    """Ask until it answers: an actor takes seconds to start, many on a busy machine."""
    deadline = time.monotonic() + FOUND_WITHIN_SECONDS
    while True:
        try:
            return await client.ask(question, *args)
        except HistoryAwayError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.5)


async def refusal(client: HistoryClient, decision_id: str) -> str:
    """Ask until the answer is that the archive is away: a lost node is not noticed at once."""
    deadline = time.monotonic() + FOUND_WITHIN_SECONDS
    said = ""
    while "which cannot be reached" not in said and time.monotonic() < deadline:
        try:
            said = f"it answered {await client.ask(Questions.rows, [decision_id])}"
        except HistoryAwayError as away:
            said = away.message
        await asyncio.sleep(0.5)
    return said


async def test_a_history_whose_node_is_lost_begins_no_empty_archive_elsewhere(
    redis: PrefixedRedis, nodes: Cluster, tmp_path: Path
) -> None:
    home = tmp_path / "other"
    node = add_node(nodes, home)
    await asyncio.to_thread(begin_archive_on_the_other_node)
    client = HistoryClient()
    old = await write(redis, tmp_path / "spool", 1)
    await ask(client, Questions.drain_now)
    known = await known_home(redis)
    assert known is not None
    assert known.folder == str(home / "history")

    nodes.remove_node(node, allow_graceful=False)
    young = await write(redis, tmp_path / "spool", 2)
    said = await refusal(client, old.decision_id)
    assert f"on node {known.node} in {known.folder}, which cannot be reached" in said
    assert not (tmp_path / "head" / "history").exists()
    kept = [entry async for entry in LedgerStream(redis).entries()]
    assert young.row in {row for entry in kept for row in entry.rows}

    add_node(nodes, home)  # the same disk, under another node id
    found = await ask(client, Questions.rows, [old.decision_id, young.decision_id])
    rows = dict(found.rows)
    for unsearched in found.unsearched:
        rows |= (await ask(client, Questions.search, unsearched, 10.0)).rows
    assert found.trouble is None
    assert rows == {each.decision_id: each.row for each in (old, young)}
