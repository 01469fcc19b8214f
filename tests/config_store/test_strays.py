"""Keys in whose place somebody put something of another type are named, and removed."""

import re

import pytest
from redis.asyncio import Redis

from config_store.document import PinnedModel
from config_store.drift_record import DriftRecord
from config_store.errors import StrayKeyError
from config_store.repair import STATE, Repair
from config_store.running import RunningVersions
from config_store.steering.commands import EmergencyOff, EmergencyOn, RollBack
from config_store.store import ConfigStore
from config_store.strays import BESIDE, Strays
from config_store.taken_up import TakenUp
from tests.config_store.steering.people import ADA, CY, NOW, own_time
from tests.config_store.steering.stores import AT, document, founded, kinds, switch, validated

NAMES = ["ballast:" + ":".join(parts) for parts in BESIDE]


@pytest.fixture(autouse=True)
def _own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes have these tests' time, which is not that of Redis."""
    monkeypatch.setattr("config_store.steering.times.stamp", own_time)


async def put_in_place(redis: Redis, name: str) -> None:
    """Put a set there: nothing of the platform is one."""
    await redis.delete(name)
    await redis.sadd(name, "something else")


@pytest.mark.parametrize("key", ["config:filed", "config:in_force", "timeline", "timeline:lost"])
async def test_what_cannot_be_written_whole_is_not_begun_and_what_ends_something_is_done(
    redis: Redis, key: str
) -> None:
    store, repair, name = await founded(redis), Repair(redis), f"ballast:{key}"
    await switch(store, await validated(store, 2))
    before = await store.read()
    await put_in_place(redis, name)
    with pytest.raises(StrayKeyError, match=f"{name} in Redis .* a set in the place of a"):
        await store.draft(document(3), "m", ADA, NOW)
    assert await store.read() == before
    assert await redis.hlen(ConfigStore(redis).versions_key) == 2
    assert (await store.change(EmergencyOn("it is wrong"), ADA, NOW)).state.emergency is not None
    assert (await store.change(RollBack("it is slow"), ADA, NOW)).state.active == 1
    (finding,) = await repair.findings()
    assert (finding.subject, "`ballast config repair`" in finding.remedy) == (name, True)
    assert await repair.put_back(CY, NOW) == [f"{name}, removed"]
    assert await repair.findings() == []
    assert (await kinds(redis))[-1] == "config_stray_removed"
    entry = await store.journal_entry(NOW)
    assert entry is not None
    assert (entry.active, entry.emergency) == (1, "it is wrong")
    await store.change(EmergencyOff("it is right"), CY, NOW + 1)
    assert await validated(store, 3) == 3


async def test_each_stray_key_is_removed_and_told_and_documents_are_written_again(
    redis: Redis,
) -> None:
    store, repair = await founded(redis), Repair(redis)
    state = await switch(store, await validated(store, 2))
    assert await repair.findings() == []
    for name in NAMES:
        await put_in_place(redis, name)
    with pytest.raises(StrayKeyError, match="ballast:config:versions in Redis"):
        await store.read()
    assert [each.subject for each in await repair.findings()] == [*NAMES, STATE]
    done = await repair.put_back(CY, NOW)
    assert done == [*(f"{name}, removed" for name in NAMES), "version 1", "version 2"]
    assert (await kinds(redis)).count("config_stray_removed") == len(NAMES)
    assert await repair.findings() == []
    assert await store.read() == state
    assert (await ConfigStore(redis).active()).document == document(2)


async def test_what_the_platform_writes_is_of_the_types_that_are_expected(redis: Redis) -> None:
    store = await founded(redis)
    await switch(store, await validated(store, 2))
    await RunningVersions(redis).report("a", "tail", 1, "hash")
    await DriftRecord(redis).note({"version 1": "it was changed"}, lambda _: None, NOW)
    await TakenUp(redis).note({"tail/slo": PinnedModel(version="1.0.0")}, 2)
    assert await Strays(redis).find() == []
    missing = [name for name in NAMES if not await redis.exists(name)]
    elsewhere = re.compile("evidence|certificates|lost|filed")  # tests of these look for strays too
    assert [name for name in missing if not elsewhere.search(name)] == []


async def test_a_first_version_that_has_no_place_is_refused_by_the_name_of_the_key(
    redis: Redis,
) -> None:
    configs = ConfigStore(redis)
    await put_in_place(redis, configs.active_key)
    with pytest.raises(StrayKeyError, match=f"`redis-cli DEL {configs.active_key}`"):
        await configs.bootstrap(document(1), "up", "fresh", AT)
    assert await configs.history() == ()
