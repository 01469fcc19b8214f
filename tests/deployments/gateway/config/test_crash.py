"""Redis is killed between any two steps of a patch: what is left is legal, and says what to do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from config_store.steering.status import problems
from deployments.gateway.steering.status import describe_steering
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer
from tests.waiting import until


class Steps:
    """Counts what a request asks of Redis, and kills it before one of these.

    What the gateway's watch asks meanwhile is another task's.
    """

    def __init__(self, redis: Redis, server: RedisServer) -> None:
        self._server = server
        self._execute: Any = redis.execute_command
        self._task = asyncio.current_task()
        self.asked = 0
        self.kill_before: int | None = None

    async def execute(self, *args: Any, **options: Any) -> Any:
        if asyncio.current_task() is self._task:
            if self.asked == self.kill_before:
                self._server.kill()
            self.asked += 1
        return await self._execute(*args, **options)


async def restarted(api: ConfigApi, server: RedisServer, steps: Steps) -> None:
    steps.kill_before = None
    server.start()
    # A rolled-back file would be another test: what was acknowledged is in it.
    await until(lambda: not api.watch.stale)


async def test_a_patch_that_redis_dies_in_is_made_or_not_and_can_be_sent_again(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        steps = Steps(redis, redis_server)
        monkeypatch.setattr(redis, "execute_command", steps.execute)
        for slo in range(100, 200):
            patch = {"serving": {"tail": {"slo_ms": slo}}}
            steps.asked, steps.kill_before = 0, slo - 100
            found = await api.ask("PUT", "/config", patch)
            if steps.asked <= slo - 100:
                break  # it was over before
            assert found.status_code == 503, found.text
            await restarted(api, redis_server, steps)
            state = await api.context.changes.steering.read()
            assert problems(state) == ()
            shown = describe_steering(state, [], api.clock.wall())
            assert (shown.state, shown.rollout) == ("settled", None)
            again = await api.patched(patch)
            assert again["deployed"]
            assert api.active().document.serving.tail.slo_ms == slo
        assert steps.asked > 5
        assert found.status_code == 200
