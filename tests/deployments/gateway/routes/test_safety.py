"""Overrides, the status and violations, as an operator asks for them and as the CLI tells them."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import deployments.gateway.routes.safety
from access.keys import Role
from config_store.steering.commands import Actor, AddFreeze, AddOverride, TakeLock
from config_store.steering.store import SteeringStore
from deployments.history.questions import Questions
from launch.safety import steering
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.ledger.lookup import Lookup
from observability.schema import create_tables
from tests.config_store.steering.stores import kinds
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.deployments.house import House
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

BODY = {"entity": "order-gateway", "load": 0.6, "infra": 0.4, "slo_ms": 30}
WISH = {
    "family": "tail",
    "entity": "order-gateway",
    "field": "action",
    "value": "page",
    "reason": "a drill",
}


ADMIN = "adam:admin"
STEERED = (
    ("POST", "/safety/emergency-mode", {"enable": True, "reason": "a drill"}),
    ("DELETE", "/safety/override/0123456789abcdef", None),
    ("POST", "/config/rollback", {"reason": "a drill"}),
)


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        yield api


def soon(minutes: float = 10) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


async def holding(house: House, count: int) -> None:
    for each in (house.context, *house.replicas["safety"]):
        await until(lambda each=each: len(each.replica.steering.value.overrides) == count)  # type: ignore[misc] # bound now


async def test_an_override_holds_for_its_entity_until_it_is_ended(house: House) -> None:
    async with house.client(Role.APPROVER) as client:
        refused = await client.post("/safety/override", json=WISH | {"expires_at": soon()})
        assert refused.status_code == 403
    async with house.client(Role.ADMIN) as client:
        made = await client.post("/safety/override", json=WISH | {"expires_at": soon()})
        assert made.status_code == 201, made.text
        override = made.json()
        await holding(house, 1)
        mine, other = await house.ask(BODY, BODY | {"entity": "pricing"})
        assert (mine["data"]["action"], mine["safety"]["override"]) == ("page", override["id"])
        assert (mine["meta"]["rung"], other["safety"]["override"]) == ("model", None)
        assert override["author"] in {each["author"] for each in await _listed(client)}
        gone = await client.delete(f"/safety/override/{override['id']}")
        assert (gone.status_code, gone.json()) == (200, [])
        again = await client.delete(f"/safety/override/{override['id']}")
        assert again.status_code == 404
    await holding(house, 0)
    (after,) = await house.ask(BODY)
    assert after["safety"]["override"] is None


async def test_what_time_has_ended_is_dropped_and_is_on_the_timeline(house: House) -> None:
    """What stayed would count among the overrides and freezes of which there may be so many."""
    store, now = SteeringStore(house.redis), time.time()
    commands = (
        AddOverride("o1", "tail", "action", "page", "a drill", now + 0.5),
        AddFreeze("f1", "the close", now, now + 0.5),
        TakeLock("a policy", 0.5),
    )
    await store.change(commands, Actor("cy", Role.ADMIN), now)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (state := await store.read()).overrides or state.freezes or state.lock:
            pass
    told = await kinds(house.redis)
    assert set(told) >= {"override_ended", "freeze_ended", "lock_left"}


async def _listed(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/safety/overrides")).json()
    return found


WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"family": "nobody"}, "family"),
    ({"field": "load"}, "field"),
    ({"value": "panic"}, "value"),
    ({"value": 7}, "value"),
    ({"expires_at": "2020-03-02T10:00:00Z"}, "expires_at"),
    ({"expires_at": soon(60 * 24 * 31)}, "expires_at"),
    ({"reason": " "}, "reason"),
)


async def test_what_cannot_be_is_refused_by_its_field(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        for wrong, field in WRONG:
            body = WISH | {"expires_at": soon()} | wrong
            found = await client.post("/safety/override", json=body)
            assert found.status_code == 422, found.text
            assert any(name.endswith(field) for name in found.json()["error"]["fields"])
        assert (await client.get("/safety/overrides")).json() == []


async def test_what_steering_refuses_has_one_status_at_every_path(api: ConfigApi) -> None:
    assert (await api.ask("PUT", "/config", {"serving": {"tail": {"slo_ms": 90}}})).is_success
    await api.redis.hset(api.context.changes.steering.key, "state", b"{}")
    for method, path, body in STEERED:
        found = await api.ask(method, path, body, ADMIN)
        assert (found.status_code, "cannot be trusted" in found.text) == (409, True), found.text


async def test_without_redis_nobody_is_told_that_nothing_was_changed(
    api: ConfigApi, redis_server: RedisServer
) -> None:
    redis_server.kill()
    for method, path, body in STEERED:
        found = await api.ask(method, path, body, ADMIN)
        assert (found.status_code, "may have been made or not" in found.text) == (503, True)


async def test_only_an_override_that_is_not_there_is_not_found(api: ConfigApi) -> None:
    path = STEERED[1][1]
    unknown = await api.ask("DELETE", path, None, ADMIN)
    said = "There is no override 0123456789abcdef" in unknown.text
    assert (unknown.status_code, said) == (404, True), unknown.text
    api.clock.now += 1000
    ahead = await api.ask("DELETE", path, None, ADMIN)
    assert (ahead.status_code, "ahead of the clock of Redis" in ahead.text) == (409, True)


async def test_the_command_line_tells_and_steers_the_same(house: House) -> None:
    async with house.client(Role.ADMIN) as client:
        request = steering.OverrideRequest("tail", "", "autoscale_workers", 40.0, "an auction", 5.0)
        (said,) = await steering.add_override(client, request)
        assert "autoscale_workers of tail for every entity is 40.0 until" in said
        await holding(house, 1)
        (on,) = await steering.turn(client, "a drill", on=True)
        assert "ON since" in on
        await until(house.context.replica.in_emergency)
        lines = await steering.status(client)
        assert lines[0] == on
        assert any(line.split() == ["overrides", "1"] for line in lines)
        (off,) = await steering.turn(client, "it is over", on=False)
        assert off.endswith("off")
        ended, nothing = await steering.end_override(client, said.split()[0])
        assert (ended.endswith("has ended."), nothing) == (True, "There are no overrides.")


async def test_violations_are_listed_newest_first_and_by_what_is_asked(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not drained yet is found as well; here, nothing is."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)
        await listed_as_asked(house, Lookup(house.redis, store), monkeypatch)


async def listed_as_asked(house: House, lookup: Lookup, patch: pytest.MonkeyPatch) -> None:

    async def ask(question: Any, *args: Any) -> Any:
        assert question is Questions.violations
        limit, family, severity, since = args
        return await lookup.violations(limit, family=family, severity=severity, since=since)

    patch.setattr(deployments.gateway.routes.safety, "ask", ask)
    await house.ask(BODY)
    (broke,) = await house.ask(BODY | {"slo_ms": 1e7})
    async with house.client(Role.VIEWER) as client:
        found = (await client.get("/safety/violations")).json()
        assert [each["decision_id"] for each in found] == [broke["meta"]["decision_id"]]
        assert (found[0]["rule"], found[0]["level"]) == ("range:slo_ms", "unsafe")
        assert found[0]["rung"] == broke["meta"]["rung"]
        for query, count in (
            ("family=tail&severity=unsafe", 1),
            ("family=capacity", 0),
            ("severity=critical", 0),
            (f"since={datetime.fromtimestamp(time.time() + 60, UTC):%Y-%m-%dT%H:%M:%SZ}", 0),
        ):
            listed = (await client.get(f"/safety/violations?{query}")).json()
            assert len(listed) == count, query
        lines = await steering.violations(client, {"family": "tail", "severity": None})
        assert "range:slo_ms" in lines[0]
