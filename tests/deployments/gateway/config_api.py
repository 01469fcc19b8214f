"""The configuration's endpoints over a real Redis, without the stages, which none of them asks."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.pinning import pinned
from config_store.repair import Repair
from config_store.running import RunningVersions
from config_store.shipped import default_document
from config_store.steering import times
from config_store.steering.watch import SteeringWatch
from config_store.store import ConfigStore, Version
from config_store.watch import ConfigWatch
from deployments.api.errors import ForbiddenError
from deployments.api.shipped import known_columns
from deployments.gateway.app import build_app
from deployments.gateway.bodies.room import BodyRoom
from deployments.gateway.config.changes import ConfigChanges
from deployments.gateway.config.policy_checks import PolicyChecks
from safety.policy import SafetyPolicy
from safety.proofs.check import check_policy
from safety.proofs.findings import Report
from tests.config_store.steering.people import own_time
from tests.deployments.house import NOW
from tests.waiting import PATIENCE_SECONDS, until

# Before Redis's clock for longer than a test takes; further ahead than 300 s steering takes a clock
# for wrong.
AHEAD_SECONDS = 200.0


class Keys:
    """Admits who names a person and a role in place of a key; keys have tests of their own."""

    def admit(self, headers: list[tuple[bytes, bytes]], needed: Role) -> Principal:
        name, _, role = dict(headers)[b"x-api-key"].decode().partition(":")
        principal = Principal(name, Role(role))
        if not principal.may(needed):
            raise ForbiddenError(f"this needs the role {needed}")
        return principal


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def wall(self) -> float:
        return self.now


class ChecksHere(PolicyChecks):
    """Proves in this process, whose prover is imported once, and which is not the lowest of all.

    The process of its own, in which a gateway has it done, is tested in test_policy_check.py.
    """

    # The prover is for one thread at a time, also where a test ended before its check did. A loop
    # waits at its end for threads of its own, and not for this one.
    THREAD: ClassVar = ThreadPoolExecutor(1, "prover")

    async def _check(
        self, policy: dict[str, Any], active: SafetyPolicy | None, only_changed: bool
    ) -> Report:
        return await asyncio.get_running_loop().run_in_executor(
            self.THREAD, proved, policy, active, only_changed
        )


def proved(policy: dict[str, Any], active: SafetyPolicy | None, only_changed: bool) -> Report:
    """Check a policy; what the prover left in cycles is not let go by another thread meanwhile."""
    gc.disable()
    try:
        return check_policy(policy, known_columns(), active, only_changed=only_changed)
    finally:
        gc.enable()


class ConfigApi:
    """One gateway's paths to the configuration."""

    def __init__(self, redis: Redis, models: Path) -> None:
        self.redis = redis
        self.clock = Clock(time.time() + AHEAD_SECONDS)
        self.configs = ConfigStore(redis)
        self.watch = ConfigWatch(redis, lambda _: None)
        self.steering = SteeringWatch(redis, lambda _: None)
        self.running = RunningVersions(redis)
        policies = ChecksHere()
        context: Any = SimpleNamespace(
            families={},
            observe=lambda *_: None,
            admission=Keys(),
            active=self.active,
            configs=self.configs,
            changes=ConfigChanges(redis, models, self.clock.wall, policies),
            policy_checks=policies,
            repair=Repair(redis),
            post_room=BodyRoom(),
            clocks=self.clock,
            replica=SimpleNamespace(redis=redis, steering=self.steering),
        )
        self.context = context
        self.app: FastAPI = build_app(context)

    def active(self) -> Version:
        assert self.watch.value is not None
        return self.watch.value

    async def follows(self, number: int) -> None:
        """Wait until this gateway goes by a version, and knows that it is to."""
        await until(lambda: self.active().number == number)
        await until(
            lambda: self.steering.value is not None and self.steering.value.active == number
        )

    def client(self, who: str = "olga:operator") -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(
            transport=transport, base_url="http://ballast", headers={"X-API-Key": who}
        )

    async def ask(
        self, method: str, path: str, body: Any = None, who: str = "olga:operator"
    ) -> httpx.Response:
        async with self.client(who) as client:
            return await client.request(method, path, json=body)

    async def get(self, path: str, **query: Any) -> Any:
        async with self.client("vera:viewer") as client:
            found = await client.get(path, params=query)
        assert found.status_code == 200, found.text
        return found.json()

    async def patched(self, patch: Mapping[str, Any], who: str = "olga:operator") -> Any:
        """Patch the configuration; give what came of it once this gateway goes by it."""
        found = await self.ask("PUT", "/config", patch, who)
        assert found.status_code in {200, 202}, found.text
        if found.status_code == 200:
            await self.follows(found.json()["version"])
        return found.json()


@asynccontextmanager
async def config_api(
    redis: Redis, models: Path, document: ConfigDocument | None = None
) -> AsyncIterator[ConfigApi]:
    """Give one; what it changes has the time of its clock, which a test may move."""
    configs = ConfigStore(redis)
    first = pinned(document or default_document(), models)  # as each start leaves it
    await configs.bootstrap(first, "ballast", "the first", NOW)
    api = ConfigApi(redis, models)
    with pytest.MonkeyPatch.context() as changes:
        changes.setattr(times, "stamp", own_time)
        async with api.watch, api.steering:
            await api.watch.first(PATIENCE_SECONDS)
            await api.steering.first(PATIENCE_SECONDS)
            yield api
