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
from launch.config import door as cli_door
from settings.environment import Settings
from tests.deployments.gateway.config_door import ConfigDoor, config_door
from tests.redis_server import RedisServer

ADMIN = "adam:admin"


@pytest.fixture
async def door(
    redis_server: RedisServer, settings: Settings, tmp_path: Path
) -> AsyncIterator[ConfigDoor]:
    async with (
        redis_server.patient_client() as redis,
        config_door(redis, tmp_path) as door,
    ):
        settings.home.mkdir(parents=True, exist_ok=True)
        yield door


def run_here(*words: str) -> Result:
    return CliRunner().invoke(app, ["config", *words])


async def invoke(door: ConfigDoor, *words: str) -> Result:
    """Run a command as a process would: on a loop of its own, beside the one that answers."""
    loop = asyncio.get_running_loop()
    bridged = Bridge(door, loop)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli_door, "front_door", bridged.front_door)
        return await asyncio.to_thread(run_here, *words)


class Bridge(httpx.AsyncBaseTransport):
    """Carries requests from the command's loop to the one that the gateway is on."""

    def __init__(self, door: ConfigDoor, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = httpx.ASGITransport(app=door.app)
        self._loop = loop

    @asynccontextmanager
    async def front_door(self, _: Settings) -> AsyncIterator[httpx.AsyncClient]:
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
    door: ConfigDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await invoke(door, "approvals", "1")).exit_code == 0
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: 90.0")
    edited = await invoke(door, "edit", "serving.tail", "-m", "tighter", "--yes")
    assert edited.exit_code == 0, edited.output
    assert "~ slo_ms: 250.0 -> 90.0" in edited.output
    assert "Version 2 is drafted on top of 1." in edited.output
    checked = await invoke(door, "validate", "2")
    assert "Version 2 is good. It has 0 of 1 approvals" in said(checked)
    early = await invoke(door, "deploy", "2")
    assert early.exit_code == 1
    key = tmp_path / "alba.key"
    key.write_text("alba:approver\n")
    approved = await invoke(door, "approve", "2", "--yes", "--key-file", str(key))
    assert approved.exit_code == 0, approved.output
    assert "~ serving.tail.slo_ms: 250.0 -> 90.0" in approved.output
    assert "Version 2 is approved." in approved.output
    deployed = await invoke(door, "deploy", "2", "--reason", "the tail")
    assert "Version 2 is in force." in deployed.output
    assert "Every replica goes by version 2." in deployed.output
    await door.follows(2)
    listed = (await invoke(door, "history")).output
    assert "active" in listed.splitlines()[0]
    assert "adam, approved by alba: tighter" in listed
    assert "~ serving.tail.slo_ms: 90.0 -> 250.0" in (await invoke(door, "diff", "2", "1")).output
    assert "say the same" in (await invoke(door, "diff", "2")).output
    back = await invoke(door, "rollback", "--reason", "too tight")
    assert "Version 1 is in force." in back.output


async def test_an_edit_that_is_refused_keeps_what_was_written(
    door: ConfigDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "slo_ms: .*", "slo_ms: -1")
    refused = await invoke(door, "edit", "serving.tail", "-m", "m", "--yes")
    assert refused.exit_code == 1
    assert "serving.tail.slo_ms" in said(refused)
    name, text = kept(tmp_path)
    assert name in said(refused)
    assert "slo_ms: -1" in text
    editor(tmp_path, monkeypatch, "nothing", "else")
    assert "Nothing was changed" in (await invoke(door, "edit", "--json", "--yes")).output


async def test_a_canary_is_followed_as_text(door: ConfigDoor) -> None:
    await door.ask(
        "PUT", "/config/settings", {"rollout": {"evidence": False, "lead_seconds": 0}}, ADMIN
    )
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    await door.ask("POST", "/config/versions", drafted)
    await invoke(door, "validate", "2")
    begun = await invoke(door, "deploy", "2", "--strategy", "canary", "--shares", "0.1,1")
    assert "steps     [10 %] > 100 %" in begun.output
    watched = await invoke(door, "watch", "--once")
    assert watched.output.splitlines()[:2] == begun.output.splitlines()[:2]
    assert "10 % done > [100 %]" in (await invoke(door, "advance")).output
    aborted = await invoke(door, "abort", "--reason", "p99")
    assert "was aborted at step 2 (p99)." in aborted.output
    assert "was aborted at step 2 (p99)." in (await invoke(door, "watch")).output


async def test_locks_freezes_time_and_drift(door: ConfigDoor) -> None:
    assert "The lock is yours" in (await invoke(door, "lock", "--reason", "a policy")).output
    assert "Nobody has" in (await invoke(door, "unlock")).output
    frozen = await invoke(door, "freeze", "--reason", "close", "--until", "2126-01-01T00:00:00Z")
    name = frozen.output.split()[2]
    assert f"The freeze {name} is removed" in (await invoke(door, "unfreeze", name)).output
    drift = await invoke(door, "drift")
    assert (drift.exit_code, "same      0 of 0 replicas" in drift.output) == (0, True)
    await door.running.report("tail-a", "tail", 9, "x")
    drift = await invoke(door, "drift")
    assert drift.exit_code == 1
    assert "behind    tail-a goes by 9" in drift.output
    assert "nothing had to be" in (await invoke(door, "repair")).output


async def test_a_replica_that_does_not_follow_is_named(
    door: ConfigDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_door, "COMPLETE_LOOKS", 2)
    await door.patched({"serving": {"tail": {"slo_ms": 90}}}, ADMIN)
    await door.running.report("tail-a", "tail", 2, door.active().config_hash)
    back = await invoke(door, "rollback")
    assert "1 replicas do not go by version 1 yet: tail-a" in back.output


async def test_status_says_the_state_also_while_nothing_runs(door: ConfigDoor) -> None:
    steering = door.context.changes.steering
    olga, now = Actor("olga", Role.OPERATOR), door.clock.now
    assert "settled" in (await invoke(door, "status")).output
    life = await steering.draft(door.active().document, "m", olga, now)
    both = [Validate(life.number), Validated(life.number, life.content_hash)]
    await steering.change(both, olga, now)
    await steering.change(Deploy(life.number, Strategy.CANARY, "mine", 1), olga, now)
    shown = await invoke(door, "status")
    assert shown.exit_code == 0, shown.output
    assert "state     rollout" in shown.output
    assert "rollout mine of version 2" in said(shown)
