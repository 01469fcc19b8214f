"""What was in force at a time and who let it in, and drift: replicas behind, Redis changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from config_store.document import hash_of
from config_store.shipped import default_document
from deployments.gateway import in_force
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.drain import TimelineDrain
from observability.timeline.store import read
from tests.deployments.gateway.config_door import ConfigDoor, config_door
from tests.redis_server import RedisServer
from tests.waiting import until

SLO = {"serving": {"tail": {"slo_ms": 90}}}
ADMIN = "adam:admin"


@pytest.fixture
async def door(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigDoor]:
    async with (
        redis_server.patient_client() as redis,
        config_door(redis, tmp_path) as door,
    ):
        # Redis has a clock of its own, and notes the bootstrap by it.
        door.clock.now = datetime.now(UTC).timestamp()
        yield door


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the column store, and answer by it as the history actor does."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)

        async def ask(question: object, limit: int, **asked: Any) -> Any:
            assert question is Questions.timeline
            return read(store, limit, **asked)

        monkeypatch.setattr(in_force, "ask", ask)
        yield store


@pytest.fixture
def no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> Any:
        raise HistoryAwayError("There is no history here")

    monkeypatch.setattr(in_force, "ask", ask)


def text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


async def history_of(door: ConfigDoor) -> list[tuple[float, int]]:
    """Let three versions come into force, a minute apart; give when each was."""
    begun = [(door.clock.now, 1)]
    for slo in (90, 91):
        door.clock.now += 60
        made = await door.patched({"serving": {"tail": {"slo_ms": slo}}}, f"o{slo}:operator")
        begun.append((door.clock.now, made["version"]))
    door.clock.now += 60
    await door.ask("POST", "/config/rollback", {"reason": "too tight"})
    await door.follows(2)
    begun.append((door.clock.now, 2))
    return begun


async def check_history(door: ConfigDoor, begun: list[tuple[float, int]]) -> None:
    for at, version in begun:
        for moment in (at + 0.01, at + 59):
            found = await door.get("/config/at", time=text(moment))
            assert found["version"] == version, moment
            stored = await door.configs.get(version)
            assert found["config_hash"] == stored.config_hash


async def test_each_time_has_its_version_from_the_stream_or_the_archive(
    door: ConfigDoor, archive: EmbeddedClickhouse
) -> None:
    begun = await history_of(door)
    await check_history(door, begun)
    drain = TimelineDrain(door.redis, archive, door.clock.wall)
    while await drain.step():
        pass
    await check_history(door, begun)
    found = await door.get("/config/at", time=text(begun[1][0] + 1))
    assert (found["let_in"]["author"], found["let_in"]["activated_by"]) == ("o90", "o90")
    assert (found["before"], found["complete"]) == (1, True)
    back = await door.get("/config/at", time=text(door.clock.now + 999))
    assert (back["version"], back["let_in"]["author"]) == (2, "o90")
    assert (back["let_in"]["activated_by"], back["let_in"]["reason"]) == ("olga", "too tight")
    early = text((datetime.now(UTC) - timedelta(days=9)).timestamp())
    found = await door.ask("GET", f"/config/at?time={early.replace('+', '%2B')}")
    assert found.status_code == 404


@pytest.mark.usefixtures("archive")
async def test_who_approved_it_is_told(door: ConfigDoor) -> None:
    await door.ask("PUT", "/config/settings", {"approvals_needed": 1}, ADMIN)
    made = await door.patched(SLO)
    approved = {"config_hash": made["config_hash"]}
    door.clock.now += 5
    path = f"/config/versions/{made['version']}"
    assert (await door.ask("POST", f"{path}/approve", approved, "alba:approver")).is_success
    door.clock.now += 5
    assert (await door.ask("POST", "/config/deploy", {"version": 2})).is_success
    let_in = (await door.get("/config/at", time=text(door.clock.now)))["let_in"]
    assert [each["by"] for each in let_in["approvals"]] == ["alba"]
    assert let_in["author"] == "olga"


@pytest.mark.usefixtures("archive")
async def test_a_version_that_was_activated_past_steering_is_told_too(door: ConfigDoor) -> None:
    await door.patched(SLO)
    begun = door.clock.now
    number = await door.configs.publish(
        default_document(), "ballast", "a source", datetime.now(UTC)
    )
    await until(lambda: datetime.now(UTC).timestamp() > begun + 0.1)
    await door.configs.activate(number)
    door.clock.now = datetime.now(UTC).timestamp() + 1
    assert (await door.get("/config/at", time=text(begun + 0.05)))["version"] == 2
    found = await door.get("/config/at", time=text(door.clock.now))
    assert (found["version"], found["before"]) == (3, 2)
    assert (found["let_in"]["author"], found["let_in"]["reason"]) == ("ballast", "a source")


@pytest.mark.usefixtures("no_archive")
async def test_without_the_archive_the_journal_and_the_stream_still_tell(door: ConfigDoor) -> None:
    begun = await history_of(door)
    await check_history(door, begun)
    assert not (await door.get("/config/at", time=text(door.clock.now)))["complete"]
    await door.redis.delete("ballast:timeline")
    await check_history(door, begun[1:])
    found = await door.ask("GET", "/config/at?time=2026-01-01T00:00:00Z")
    assert found.status_code == 503


async def test_replicas_that_go_by_another_version_are_named(door: ConfigDoor) -> None:
    await door.patched(SLO)
    old, new = [await door.configs.get(number) for number in (1, 2)]
    await door.running.report("tail-a", "tail", 2, new.config_hash)
    assert (await door.get("/config/drift"))["complete"]
    await door.running.report("tail-b", "tail", 1, old.config_hash)
    found = await door.get("/config/drift")
    assert (found["version"], found["complete"], found["findings"]) == (2, False, [])
    states = {each["replica"]: each["state"] for each in found["replicas"]}
    assert states == {"tail-a": "same", "tail-b": "behind"}
    where = await door.get("/config/steering")
    assert where["state"] == "incomplete"
    assert "tail-b (1)" in where["meaning"][-1]
    await door.running.leave("tail-b")
    assert (await door.get("/config/steering"))["state"] == "settled"


async def test_what_was_changed_in_redis_is_found_and_put_right_by_one_call(
    door: ConfigDoor,
) -> None:
    await door.patched(SLO)
    assert (await door.get("/config/drift"))["findings"] == []
    key = door.configs.versions_key
    record = await door.redis.hget(key, "2")
    assert record is not None
    fields = orjson.loads(record)
    altered = fields["document"].replace('"slo_ms":90.0', '"slo_ms":9000.0')
    for forged in (
        fields | {"document": altered},
        fields | {"document": altered, "config_hash": hash_of(altered.encode())},
    ):
        await door.redis.hset(key, "2", orjson.dumps(forged))
        found = await door.get("/config/drift")
        assert len(found["findings"]) == 1, found
        assert "repair" in found["findings"][0]["remedy"]
        repaired = (await door.ask("POST", "/config/repair")).json()
        assert (repaired["repaired"], repaired["findings"]) == (["version 2"], [])
        assert (await door.configs.get(2)).document.serving.tail.slo_ms == 90
    again = (await door.ask("POST", "/config/repair")).json()
    assert again["repaired"] == []


async def test_a_forged_steering_state_is_found_and_restored(door: ConfigDoor) -> None:
    await door.patched(SLO)
    assert (await door.get("/config/drift"))["findings"] == []
    key = door.context.changes.steering.key
    state: Any = await door.redis.hget(key, "state")
    forged = state.replace(b'"approvals_needed":0', b'"approvals_needed":1')
    assert forged != state
    await door.redis.hset(key, "state", forged)
    assert (await door.ask("PUT", "/config", SLO)).status_code == 409
    found = await door.get("/config/drift")
    assert (found["version"], len(found["findings"])) == (2, 1)
    repaired = (await door.ask("POST", "/config/repair")).json()
    assert (repaired["repaired"], repaired["findings"]) == (["the steering state"], [])
    assert (await door.patched({"serving": {"tail": {"slo_ms": 80}}}))["deployed"]
