"""The whole DAG in one event loop: the real deployments, a real Redis, a real ledger, no cluster.

Only what Ray does is left out: to start the deployments, and to name their replicas to the gateway.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from redis.asyncio import Redis

from access.key_store import KeyStore
from access.keys import Role
from config_store.document import ConfigDocument, Deadlines, FamilyServing
from config_store.shipped import default_document
from config_store.store import ConfigStore
from deployments.gateway.app import build_ingress
from deployments.gateway.context import GatewayContext
from deployments.gateway.stages.hops import Handles
from deployments.runtime.open_stage import OpenStage
from deployments.runtime.transport.tcp.server import WireServer
from deployments.stages import MODELS, STAGES, open_stage
from features.errors import SourceAwayError
from features.rows import FeatureRow
from observability.ledger.stream import LedgerStream
from settings.environment import Settings
from tests.deploying import deployed
from tests.deployments.handles import InProcessHandle
from tests.deployments.replicas import Directory, kill
from tests.waiting import until

PATH = "/models/tail-slo"
# On two busy cores an answer may be late; only where that is the question may it count as lost.
PATIENT = Deadlines(request_ms=100_000, features_ms=30_000, model_ms=60_000, ledger_ms=6_000)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
# It takes no second; a test that failed has two minutes for all of its end.
CLOSES_WITHIN_SECONDS = 40.0


async def in_time(close: Callable[[], Awaitable[None]]) -> None:
    """Close a part; what a failed test left waiting in it is waited for, and not without end."""
    async with asyncio.timeout(CLOSES_WITHIN_SECONDS):
        await close()


class NoHistory:
    """The history actor of a cluster that is not there."""

    async def latest(self, _: Sequence[str]) -> dict[str, FeatureRow]:
        raise SourceAwayError("history", "no cluster")


def document_with(document: ConfigDocument, **changes: Any) -> ConfigDocument:
    """Change how the tail family is served."""
    return with_serving(document, tail=document.serving.tail.model_copy(update=changes))


def with_serving(document: ConfigDocument, **families: FamilyServing) -> ConfigDocument:
    """Serve these families so, and the others as before."""
    changed = document.serving.model_copy(update=families)
    return document.model_copy(update={"serving": changed})


def server_of(opened: OpenStage) -> WireServer:
    assert opened.listener is not None
    return opened.listener.server


class House:
    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.document = default_document().with_deadlines(**PATIENT.model_dump())
        self.keys: dict[Role, str] = {}
        self.open: dict[str, list[OpenStage]] = {name: [] for name in STAGES}
        # The stages in those, in the same order.
        self.replicas: dict[str, list[Any]] = {name: [] for name in STAGES}
        self._gateway = AsyncExitStack()  # empty until that is open
        self.plain = Settings().plain
        # What stands in Serve's place: it names replicas, or calls them.
        self.directories: dict[str, Any] = {
            name: InProcessHandle() if self.plain else Directory() for name in STAGES
        }

    async def prepare(self) -> None:
        """Do what `ballast up` does before anything starts: configuration and keys."""
        await ConfigStore(self.redis).bootstrap(self.document, "ada", "a start", NOW)
        for role in Role:
            issued = await KeyStore(self.redis).create(role, f"a {role}", NOW)
            self.keys[role] = issued.presented

    async def start(self, stage: str) -> Any:
        """Start one more replica of a stage, as Serve does."""
        opened = await open_stage(stage)
        self.open[stage].append(opened)
        self.replicas[stage].append(opened.stage)
        if self.plain:
            self.directories[stage].replicas.append(opened)
        else:
            self.directories[stage].addresses.append(await opened.where())
        return opened.stage

    def kill(self, stage: str, which: int = 0) -> None:
        """End a replica's connections as kill -9 does; Serve goes on naming it for a while."""
        opened = self.open[stage][which]
        if self.plain:
            self.directories[stage].kill(opened)
        else:
            kill(server_of(opened))

    async def open_gateway(self) -> None:
        directories = self.directories
        models = {name: directories[name] for name in MODELS}
        handles = Handles(directories["features"], directories["safety"], models)
        self.context = await GatewayContext.opened(handles)
        self._gateway.push_async_callback(self.context.close)
        self.ingress = build_ingress(self.context)

    async def close(self) -> None:
        """Close the gateway and then the stages that were opened, whatever one of them does."""
        async with AsyncExitStack() as undo:
            for opened in (each for all_ in self.open.values() for each in all_):
                undo.push_async_callback(in_time, opened.close)
            undo.push_async_callback(in_time, self._gateway.aclose)

    def client(self, role: Role = Role.CLIENT) -> httpx.AsyncClient:
        return self.stranger(headers={"X-API-Key": self.keys[role]})

    def stranger(self, **options: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.ingress)
        return httpx.AsyncClient(transport=transport, base_url="http://ballast", **options)

    async def ask(self, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
        """Ask for these rows in one request."""
        async with self.client() as client:
            found = await client.post(PATH, json={"rows": bodies})
        found.raise_for_status()
        answers: list[dict[str, Any]] = found.json()
        return answers

    async def deploy(self, document: ConfigDocument) -> int:
        """Bring a configuration into force; give its number once everybody goes by it."""
        number = await deployed(self.redis, document)
        everybody = [self.context, *(each for all_ in self.replicas.values() for each in all_)]
        for who in everybody:
            await until(lambda who=who: who.replica.config.value.number == number)  # type: ignore[misc] # bound now
        await until(lambda: self.answering() == number)
        return number

    def answering(self) -> int:
        """Give the number of the version that the gateway answers every row by."""
        version = self.context.choice.active()
        assert version is not None
        return version.number

    async def within(self, **milliseconds: float) -> None:
        """Shorten deadlines, where it is the question what happens when they pass."""
        await self.deploy(self.document.with_deadlines(**milliseconds))

    async def ledger(self) -> list[dict[str, Any]]:
        """Read every decision that was written down, oldest first."""
        entries = [entry async for entry in LedgerStream(self.redis).entries()]
        return [orjson.loads(row) for entry in entries for row in entry.rows]


@asynccontextmanager
async def opened(redis: Redis) -> AsyncIterator[House]:
    house = House(redis)
    await house.prepare()
    try:
        for stage in STAGES:
            await house.start(stage)
        await house.open_gateway()
        yield house
    finally:  # also of one that could not be opened: what goes on in it would not end by itself
        await house.close()
