"""`ballast config` against the gateway's own app over HTTP, and a real Redis."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from access.keys import Role
from config_store.steering.commands import Actor, Deploy, Validate, Validated
from config_store.steering.state import Strategy
from launch.cli import app
from launch.config import requests
from settings.environment import Settings
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer

ADMIN = "adam:admin"


@pytest.fixture
async def api(
    redis_server: RedisServer, settings: Settings, tmp_path: Path
) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        settings.home.mkdir(parents=True, exist_ok=True)
        yield api


def run_here(*words: str) -> Result:
    return CliRunner().invoke(app, ["config", *words])


async def invoke(api: ConfigApi, *words: str) -> Result:
    """Run a command as a process would: on a loop of its own, beside the one that answers."""
    loop = asyncio.get_running_loop()
    bridged = Bridge(api, loop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "platform_client", bridged.platform_client)
        return await asyncio.to_thread(run_here, *words)


class Bridge(httpx.AsyncBaseTransport):
    """Carries requests from the command's loop to the one that the gateway is on."""

    def __init__(self, api: ConfigApi, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = httpx.ASGITransport(app=api.app)
        self._loop = loop

    @asynccontextmanager
    async def platform_client(self, _: Settings) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(
            transport=self, base_url="http://ballast", headers={"X-API-Key": ADMIN}
        ) as client:
            yield client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def answer() -> httpx.Response:
            found = await self._inner.handle_async_request(request)
            body = await found.aread()
            return httpx.Response(found.status_code, headers=found.headers, content=body)

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(answer(), self._loop))


def said(result: Result) -> str:
    return " ".join(result.output.split())


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"sed -i 's/{old}/{new}/'")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def kept(folder: Path) -> tuple[str, str]:
    """Give the file that an edit left behind."""
    (file,) = folder.glob("ballast-config-*.yaml")
    return file.name, file.read_text()


async def test_a_version_is_edited_checked_approved_deployed_and_taken_back(
    api: ConfigApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await invoke(api, "approvals", "1")).exit_code == 0
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: 90.0")
    edited = await invoke(api, "edit", "serving.tail", "-m", "tighter", "--yes")
    assert edited.exit_code == 0, edited.output
    assert "~ slo_ms: 250.0 -> 90.0" in edited.output
    assert "Version 2 is drafted on top of 1." in edited.output
    checked = await invoke(api, "validate", "2")
    assert "Version 2 is good. It has 0 of 1 approvals" in said(checked)
    early = await invoke(api, "deploy", "2")
    assert early.exit_code == 1
    key = tmp_path / "alba.key"
    key.write_text("alba:approver\n")
    approved = await invoke(api, "approve", "2", "--yes", "--key-file", str(key))
    assert approved.exit_code == 0, approved.output
    assert "~ serving.tail.slo_ms: 250.0 -> 90.0" in approved.output
    assert "Version 2 is approved." in approved.output
    deployed = await invoke(api, "deploy", "2", "--reason", "the tail")
    assert "Version 2 is in force." in deployed.output
    assert "Every replica goes by version 2." in deployed.output
    await api.follows(2)
    listed = (await invoke(api, "history")).output
    assert "active" in listed.splitlines()[0]
    assert "adam, approved by alba: tighter" in listed
    assert "~ serving.tail.slo_ms: 90.0 -> 250.0" in (await invoke(api, "diff", "2", "1")).output
    assert "say the same" in (await invoke(api, "diff", "2")).output
    back = await invoke(api, "rollback", "--reason", "too tight")
    assert "Version 1 is in force." in back.output


async def test_an_edit_that_is_refused_keeps_what_was_written(
    api: ConfigApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: -1")
    refused = await invoke(api, "edit", "serving.tail", "-m", "m", "--yes")
    assert refused.exit_code == 1
    assert "serving.tail.slo_ms" in said(refused)
    name, text = kept(tmp_path)
    assert name in said(refused)
    assert "slo_ms: -1" in text
    editor(tmp_path, monkeypatch, "nothing", "else")
    assert "Nothing was changed" in (await invoke(api, "edit", "--json", "--yes")).output


async def test_a_canary_is_followed_as_text(api: ConfigApi) -> None:
    await api.ask(
        "PUT", "/config/settings", {"rollout": {"evidence": False, "lead_seconds": 0}}, ADMIN
    )
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await api.ask("POST", "/config/versions", drafted)
    await invoke(api, "validate", "2")
    begun = await invoke(api, "deploy", "2", "--strategy", "canary", "--shares", "0.1,1")
    assert "steps     [10 %] > 100 %" in begun.output
    watched = await invoke(api, "watch", "--once")
    assert watched.output.splitlines()[:2] == begun.output.splitlines()[:2]
    assert "10 % done > [100 %]" in (await invoke(api, "advance")).output
    aborted = await invoke(api, "abort", "--reason", "p99")
    assert "was aborted at step 2 (p99)." in aborted.output
    assert "was aborted at step 2 (p99)." in (await invoke(api, "watch")).output


async def test_locks_freezes_time_and_drift(api: ConfigApi) -> None:
    assert "The lock is yours" in (await invoke(api, "lock", "--reason", "a policy")).output
    assert "Nobody has" in (await invoke(api, "unlock")).output
    frozen = await invoke(api, "freeze", "--reason", "close", "--until", "2126-01-01T00:00:00Z")
    name = frozen.output.split()[2]
    assert f"The freeze {name} is removed" in (await invoke(api, "unfreeze", name)).output
    drift = await invoke(api, "drift")
    assert (drift.exit_code, "same      0 of 0 replicas" in drift.output) == (0, True)
    await api.running.report("tail-a", "tail", 9, "x")
    drift = await invoke(api, "drift")
    assert drift.exit_code == 1
    assert "behind    tail-a goes by 9" in drift.output
    assert "nothing had to be" in (await invoke(api, "repair")).output


async def test_a_replica_that_does_not_follow_is_named(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "COMPLETE_LOOKS", 2)
    await api.patched({"serving": {"tail": {"slo_ms": 90}}}, ADMIN)
    await api.running.report("tail-a", "tail", 2, api.active().config_hash)
    back = await invoke(api, "rollback")
    assert "1 replicas do not go by version 1 yet: tail-a" in back.output


async def test_status_says_the_state_also_while_nothing_runs(api: ConfigApi) -> None:
    steering = api.context.changes.steering
    olga, now = Actor("olga", Role.OPERATOR), api.clock.now
    assert "settled" in (await invoke(api, "status")).output
    life = await steering.draft(api.active().document, "m", olga, now)
    both = [Validate(life.number), Validated(life.number, life.content_hash)]
    await steering.change(both, olga, now)
    await steering.change(Deploy(life.number, Strategy.CANARY, "mine", 1), olga, now)
    shown = await invoke(api, "status")
    assert shown.exit_code == 0, shown.output
    assert "state     rollout" in shown.output
    assert "rollout mine of version 2" in said(shown)


async def test_status_of_a_forged_state_says_what_to_do(api: ConfigApi) -> None:
    steering = api.context.changes.steering
    await steering.found(Actor("olga", Role.OPERATOR), api.clock.now)
    await api.redis.hset(steering.key, "digest", "another")
    shown = await invoke(api, "status")
    assert shown.exit_code == 1
    assert "changed by something else than steering" in said(shown)
    assert "`ballast config repair`" in said(shown)
