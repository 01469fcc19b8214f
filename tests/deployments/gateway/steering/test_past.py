"""What was in force at a time and who let it in, and drift: replicas behind, Redis changed."""

import threading
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

import config_store.running
from config_store.document import hash_of
from config_store.shipped import default_document
from deployments.gateway.steering import config_at
from deployments.history.client import HistoryAwayError
from deployments.history.questions import Questions
from launch.config.text import at_lines
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.schema import create_tables
from observability.timeline.drain import TimelineDrain
from observability.timeline.event import Detail, Event
from observability.timeline.store import read
from observability.timeline.stream import Message, TimelineStream
from tests import past_steering
from tests.deployments.gateway.config.versions import TAIL, crown
from tests.deployments.gateway.config_api import ConfigApi, config_api
from tests.redis_server import RedisServer
from tests.waiting import until

SLO = {"serving": {"tail": {"slo_ms": 90}}}
ADMIN = "adam:admin"


@pytest.fixture
async def api(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[ConfigApi]:
    async with (
        redis_server.patient_client() as redis,
        config_api(redis, tmp_path) as api,
    ):
        # Redis has a clock of its own, and notes the bootstrap by it.
        api.clock.now = datetime.now(UTC).timestamp()
        yield api


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the column store, and answer by it as the history actor does."""
    with EmbeddedClickhouse(tmp_path / "chdb") as store:
        create_tables(store)

        async def ask(question: object, limit: int, **asked: Any) -> Any:
            assert question is Questions.timeline
            return read(store, limit, **asked)

        monkeypatch.setattr(config_at, "ask", ask)
        yield store


@pytest.fixture
def no_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask(*_: object, **__: object) -> Any:
        raise HistoryAwayError("There is no history here")

    monkeypatch.setattr(config_at, "ask", ask)


def text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


async def history_of(api: ConfigApi) -> list[tuple[float, int]]:
    """Let three versions come into force, a minute apart; give when each was."""
    begun = [(api.clock.now, 1)]
    for slo in (90, 91):
        api.clock.now += 60
        made = await api.patched({"serving": {"tail": {"slo_ms": slo}}}, f"o{slo}:operator")
        begun.append((api.clock.now, made["version"]))
    api.clock.now += 60
    await api.ask("POST", "/config/rollback", {"reason": "too tight"})
    await api.follows(2)
    begun.append((api.clock.now, 2))
    return begun


@pytest.mark.usefixtures("no_archive")
async def test_it_tells_the_digests_of_the_models_that_answered(
    api: ConfigApi, tmp_path: Path
) -> None:
    first = crown(tmp_path, "1.0.0")
    moments = [api.clock.now]
    for number in ("1.0.0", "1.1.0"):
        api.clock.now += 60
        crown(tmp_path, number)
        await api.patched({"models": {TAIL: None}, "quotas": {"default": {"streams": 7}}})
        moments.append(api.clock.now)
    told = [(await api.get("/config/at", time=text(each + 1)))["release"] for each in moments]
    assert told[0]["models"] == {}
    assert told[1]["models"][TAIL]["digest"] == first
    assert told[2]["models"][TAIL]["version"] == "1.1.0"
    assert told[1]["policy"] == told[2]["policy"]


async def check_history(api: ConfigApi, begun: list[tuple[float, int]]) -> None:
    for at, version in begun:
        for moment in (at + 0.01, at + 59):
            found = await api.get("/config/at", time=text(moment))
            assert found["version"] == version, moment
            stored = await api.configs.get(version)
            assert found["config_hash"] == stored.config_hash


async def test_each_time_has_its_version_from_the_stream_or_the_archive(
    api: ConfigApi, archive: EmbeddedClickhouse
) -> None:
    begun = await history_of(api)
    await check_history(api, begun)
    drain = TimelineDrain(api.redis, archive, api.clock.wall)
    while await drain.step():
        pass
    await check_history(api, begun)
    found = await api.get("/config/at", time=text(begun[1][0] + 1))
    assert (found["let_in"]["author"], found["let_in"]["activated_by"]) == ("o90", "o90")
    assert (found["before"], found["complete"]) == (1, True)
    back = await api.get("/config/at", time=text(api.clock.now + 999))
    assert (back["version"], back["let_in"]["author"]) == (2, "o90")
    assert (back["let_in"]["activated_by"], back["let_in"]["reason"]) == ("olga", "too tight")
    early = text((datetime.now(UTC) - timedelta(days=9)).timestamp())
    found = await api.ask("GET", f"/config/at?time={early.replace('+', '%2B')}")
    assert found.status_code == 404


@pytest.mark.usefixtures("archive")
async def test_a_gateway_whose_clock_is_behind_tells_what_is_in_force_too(api: ConfigApi) -> None:
    await api.patched(SLO)
    api.clock.now -= 100  # as on another machine: the change has the time of Redis
    found = await api.get("/config/at", time=text(api.clock.now + 999))
    assert (found["version"], found["let_in"]["activated_by"]) == (2, "olga")


@pytest.mark.usefixtures("archive")
async def test_who_approved_it_is_told(api: ConfigApi) -> None:
    await api.ask("PUT", "/config/settings", {"approvals_needed": 1}, ADMIN)
    made = await api.patched(SLO)
    approved = {"config_hash": made["config_hash"]}
    api.clock.now += 5
    path = f"/config/versions/{made['version']}"
    assert (await api.ask("POST", f"{path}/approve", approved, "alba:approver")).is_success
    api.clock.now += 5
    assert (await api.ask("POST", "/config/deploy", {"version": 2})).is_success
    let_in = (await api.get("/config/at", time=text(api.clock.now)))["let_in"]
    assert [each["by"] for each in let_in["approvals"]] == ["alba"]
    assert let_in["author"] == "olga"


@pytest.mark.usefixtures("archive")
async def test_who_else_wrote_it_is_told(api: ConfigApi) -> None:
    await api.ask("POST", "/config/versions", {"patch": SLO, "message": "m"}, "otto:operator")
    more = {"patch": {"quotas": {"default": {"streams": 7}}}, "message": "n", "parent": 2}
    await api.ask("POST", "/config/versions", more)
    assert (await api.ask("POST", "/config/versions/3/validate")).is_success
    api.clock.now += 5
    assert (await api.ask("POST", "/config/deploy", {"version": 3})).is_success
    found = await api.get("/config/at", time=text(api.clock.now))
    assert (found["let_in"]["author"], found["let_in"]["co_authors"]) == ("olga", ["otto"])
    assert "author    olga with otto: n" in list(at_lines(found))


@pytest.mark.usefixtures("archive")
async def test_a_version_that_was_activated_past_steering_is_told_too(api: ConfigApi) -> None:
    await api.patched(SLO)
    begun = datetime.now(UTC).timestamp()  # a deploy is not earlier than Redis's clock
    number = await past_steering.publish(
        api.redis, default_document(), "ballast", "a source", datetime.now(UTC)
    )
    await until(lambda: datetime.now(UTC).timestamp() > begun + 0.1)
    await past_steering.activate(api.redis, number)
    api.clock.now = datetime.now(UTC).timestamp() + 1
    assert (await api.get("/config/at", time=text(begun + 0.05)))["version"] == 2
    found = await api.get("/config/at", time=text(api.clock.now))
    assert (found["version"], found["before"]) == (3, 2)
    assert (found["let_in"]["author"], found["let_in"]["reason"]) == ("ballast", "a source")


@pytest.mark.usefixtures("no_archive")
async def test_without_the_archive_the_journal_and_the_stream_still_tell(api: ConfigApi) -> None:
    begun = await history_of(api)
    await check_history(api, begun)
    assert not (await api.get("/config/at", time=text(api.clock.now)))["complete"]
    await api.redis.delete("ballast:timeline")
    await check_history(api, begun[1:])
    found = await api.ask("GET", "/config/at?time=2026-01-01T00:00:00Z")
    assert found.status_code == 503


@pytest.mark.usefixtures("no_archive")
async def test_a_long_stream_is_read_a_page_at_a_time_and_not_on_the_event_loop(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await history_of(api)
    # Written later by a clock that is behind, between others, and not the latest of its time.
    late = begun[1][0] + 7
    activated: dict[str, Detail] = {
        "version": 1,
        "before": 2,
        "author": "up",
        "reason": "r",
        "config_hash": "x",
    }
    noise = [Event("deploy", api.clock.now + at, f"orders {at}") for at in range(40)]
    behind = Event("config_activated", late, details=activated)
    await TimelineStream(api.redis).add([*noise[:20], behind, *noise[20:]])
    moments = [text(at + shift) for at, _ in begun for shift in (0.01, 3, 8, 59)]
    monkeypatch.setattr(config_at, "PAGE", 10_000)
    at_once = [await api.get("/config/at", time=each) for each in moments]
    asked, threads = list[int](), set[int]()
    read_page, latest = TimelineStream.read, config_at._latest

    async def counted(stream: TimelineStream, count: int, after: str = "") -> list[Message]:
        asked.append(count)
        return await read_page(stream, count, after)

    def elsewhere(page: Sequence[Message], at: datetime) -> Event | None:
        threads.add(threading.get_ident())
        return latest(page, at)

    monkeypatch.setattr(TimelineStream, "read", counted)
    monkeypatch.setattr(config_at, "_latest", elsewhere)
    for size in (1, 3, 7):
        monkeypatch.setattr(config_at, "PAGE", size)
        assert [await api.get("/config/at", time=each) for each in moments] == at_once
        assert set(asked) == {size}
        asked.clear()
    assert threading.get_ident() not in threads
    told = {moment: each["version"] for moment, each in zip(moments, at_once, strict=True)}
    assert told[text(begun[1][0] + 3)] == 2
    assert told[text(late + 1)] == 1  # as the late event says, and not the journal


@pytest.mark.usefixtures("no_archive")
async def test_no_more_of_a_stream_is_read_than_it_may_hold(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history_of(api)
    monkeypatch.setattr(config_at, "PAGE", 2)
    monkeypatch.setattr(config_at, "MOST", 6)
    pages = list[str]()
    read_page = TimelineStream.read

    async def counted(stream: TimelineStream, count: int, after: str = "") -> list[Message]:
        pages.append(after)
        return await read_page(stream, count, after)

    monkeypatch.setattr(TimelineStream, "read", counted)
    await api.get("/config/at", time=text(api.clock.now))
    assert len(pages) == 3


async def test_replicas_that_go_by_another_version_are_named(api: ConfigApi) -> None:
    await api.patched(SLO)
    old, new = [await api.configs.get(number) for number in (1, 2)]
    await api.running.report("tail-a", "tail", 2, new.config_hash)
    assert (await api.get("/config/drift"))["complete"]
    await api.running.report("tail-b", "tail", 1, old.config_hash)
    found = await api.get("/config/drift")
    assert (found["version"], found["complete"], found["findings"]) == (2, False, [])
    states = {each["replica"]: each["state"] for each in found["replicas"]}
    assert states == {"tail-a": "same", "tail-b": "behind"}
    where = await api.get("/config/steering")
    assert where["state"] == "incomplete"
    assert "tail-b (1)" in where["meaning"][-1]
    await api.running.leave("tail-b")
    assert (await api.get("/config/steering"))["state"] == "settled"


async def test_replicas_that_do_not_look_or_report_any_more_are_named(
    api: ConfigApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.patched(SLO)
    active = api.active()
    await api.running.report("tail-a", "tail", 2, active.config_hash, 0.5)
    await api.running.report("tail-b", "tail", 2, active.config_hash, 9.0)
    found = await api.get("/config/drift")
    assert found["complete"]  # all have the same hash
    looks = {each["replica"]: (each["state"], each["look_age_s"]) for each in found["replicas"]}
    assert looks == {"tail-a": ("same", 0.5), "tail-b": ("lagging", 9.0)}
    where = await api.get("/config/steering")
    assert where["state"] == "settled"
    assert "1 replicas have not looked or reported for long: tail-b (2)." in where["meaning"][-1]
    monkeypatch.setattr(config_store.running, "SILENT_SECONDS", -1.0)
    found = await api.get("/config/drift")
    assert {each["state"] for each in found["replicas"]} == {"silent"}
    assert "tail-a (2), tail-b (2)" in (await api.get("/config/steering"))["meaning"][-1]


async def test_what_was_changed_in_redis_is_found_and_put_right_by_one_call(
    api: ConfigApi,
) -> None:
    await api.patched(SLO)
    assert (await api.get("/config/drift"))["findings"] == []
    key = api.configs.versions_key
    record = await api.redis.hget(key, "2")
    assert record is not None
    fields = orjson.loads(record)
    altered = fields["document"].replace('"slo_ms":90.0', '"slo_ms":9000.0')
    for forged in (
        fields | {"document": altered},
        fields | {"document": altered, "config_hash": hash_of(altered.encode())},
    ):
        await api.redis.hset(key, "2", orjson.dumps(forged))
        found = await api.get("/config/drift")
        assert len(found["findings"]) == 1, found
        assert "repair" in found["findings"][0]["remedy"]
        repaired = (await api.ask("POST", "/config/repair")).json()
        assert (repaired["repaired"], repaired["findings"]) == (["version 2"], [])
        assert (await api.configs.get(2)).document.serving.tail.slo_ms == 90
    again = (await api.ask("POST", "/config/repair")).json()
    assert again["repaired"] == []


async def test_a_forged_state_and_a_document_that_is_gone_are_put_right_together(
    api: ConfigApi,
) -> None:
    await api.patched(SLO)
    assert (await api.get("/config/drift"))["findings"] == []
    await api.redis.hset(api.context.changes.steering.key, "state", b"{}")
    await api.redis.set(api.configs.active_key, "1")
    await api.redis.hdel(api.configs.versions_key, "2")
    repaired = (await api.ask("POST", "/config/repair")).json()
    assert repaired["repaired"] == ["the steering state", "version 2"]
    assert (repaired["findings"], repaired["version"]) == ([], 2)
    assert (await api.configs.active()).document.serving.tail.slo_ms == 90


async def test_a_forged_steering_state_is_found_and_restored(api: ConfigApi) -> None:
    await api.patched(SLO)
    assert (await api.get("/config/drift"))["findings"] == []
    key = api.context.changes.steering.key
    state: Any = await api.redis.hget(key, "state")
    forged = state.replace(b'"approvals_needed":0', b'"approvals_needed":1')
    assert forged != state
    await api.redis.hset(key, "state", forged)
    assert (await api.ask("PUT", "/config", SLO)).status_code == 409
    found = await api.get("/config/drift")
    assert (found["version"], len(found["findings"])) == (2, 1)
    repaired = (await api.ask("POST", "/config/repair")).json()
    assert (repaired["repaired"], repaired["findings"]) == (["the steering state"], [])
    assert (await api.patched({"serving": {"tail": {"slo_ms": 80}}}))["deployed"]
