import asyncio
import stat
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from access.key_store import KeyStore
from access.keys import Role
from config_store.document import BanditsConfig
from config_store.errors import ChangedBehindError
from config_store.repair import Repair
from config_store.shipped import default_document
from config_store.steering.commands import Actor, Deploy, EmergencyOff, SetSettings, Validated
from config_store.steering.settings import SteeringSettings
from config_store.steering.state import Strategy
from config_store.steering.store import SteeringStore
from config_store.steering.stored import StateCopy
from config_store.store import ConfigStore
from launch.bootstrap import prepare, prepare_redis, read_secret, write_secret
from launch.errors import RedisSpoiltError
from observability.timeline.event import read_event
from observability.timeline.stream import TimelineStream
from settings.environment import Settings
from tests import past_steering
from tests.deploying import deployed
from tests.redis_server import RedisServer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "home" / "admin.key"
    assert read_secret(path) is None
    write_secret(path, "ballast_1_x")
    assert read_secret(path) == "ballast_1_x"
    assert path.read_bytes() == b"ballast_1_x\n"  # so that `cat` leaves a whole line
    write_secret(path, "ballast_2_y")
    assert read_secret(path) == "ballast_2_y"


def test_a_secret_is_for_its_owners_eyes_alone(tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    path.write_text("an older one, which everybody could read")
    path.chmod(0o666)
    write_secret(path, "ballast_1_x")
    assert mode(path) == 0o600


def test_a_link_in_its_place_leads_nowhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of somebody else")
    (tmp_path / "admin.key").symlink_to(elsewhere)
    write_secret(tmp_path / "admin.key", "ballast_1_x")
    assert elsewhere.read_text() == "of somebody else"
    assert not (tmp_path / "admin.key").is_symlink()


def test_a_folder_in_its_place_is_no_secret(tmp_path: Path) -> None:
    (tmp_path / "admin.key").mkdir()
    assert read_secret(tmp_path / "admin.key") is None


async def test_a_fresh_machine_gets_a_configuration_and_an_admins_key(
    settings: Settings, redis: Redis
) -> None:
    await prepare_redis(settings)
    active = await ConfigStore(redis).active()
    assert (active.number, active.document) == (1, default_document())
    key = read_secret(settings.paths.key_file)
    assert key is not None
    principal = (await KeyStore(redis).ring()).verify(key.encode())
    assert principal is not None
    assert principal.role is Role.ADMIN
    assert mode(settings.paths.key_file) == 0o600


async def test_preparing_again_changes_nothing(settings: Settings, redis: Redis) -> None:
    await prepare_redis(settings)
    key, kept = read_secret(settings.paths.key_file), await KeyStore(redis).list()
    changed = default_document().model_copy(update={"bandits": BanditsConfig(canary_cap=0.05)})
    await deployed(redis, changed)
    await prepare_redis(settings)
    assert read_secret(settings.paths.key_file) == key
    assert await KeyStore(redis).list() == kept
    assert (await ConfigStore(redis).active()).number == 2


@pytest.mark.parametrize("trouble", ["lost", "empty", "of another Redis", "revoked"])
async def test_a_key_file_that_opens_nothing_is_written_anew(
    settings: Settings, redis: Redis, trouble: str
) -> None:
    await prepare_redis(settings)
    path = settings.paths.key_file
    old = read_secret(path)
    assert old is not None
    match trouble:
        case "lost":
            path.unlink()
        case "empty":
            path.write_text("")
        case "of another Redis":
            await redis.flushall()
        case _:
            await KeyStore(redis).revoke(old.split("_")[1])
    await prepare_redis(settings)
    new = read_secret(path)
    assert new is not None
    assert new != old
    assert (await KeyStore(redis).ring()).verify(new.encode())


async def test_any_number_may_prepare_at_once(settings: Settings, redis: Redis) -> None:
    await asyncio.gather(*(prepare_redis(settings) for _ in range(8)))
    assert len(await ConfigStore(redis).history()) == 1
    key = read_secret(settings.paths.key_file)
    assert key is not None
    assert (await KeyStore(redis).ring()).verify(key.encode())


async def test_without_redis_it_says_so(settings: Settings, redis_server: RedisServer) -> None:
    redis_server.kill()
    with pytest.raises((RedisError, OSError)):
        await prepare_redis(settings)
    assert not settings.paths.key_file.exists()


async def test_each_start_stores_where_the_configuration_stands(
    settings: Settings, redis: Redis
) -> None:
    steering = SteeringStore(redis)
    changed = default_document().model_copy(update={"bandits": BanditsConfig(canary_cap=0.05)})
    for document in (default_document(), changed):  # as an earlier release left it
        number = await past_steering.publish(redis, document, "ada", "mine", datetime.now(UTC))
        await past_steering.activate(redis, number)
    assert not await redis.exists(steering.key)
    await prepare_redis(settings)
    assert await redis.exists(steering.key)
    state = await steering.read()
    assert (state.active, state.warm, state.revision) == (2, (1,), 1)
    await prepare_redis(settings)
    assert await steering.read() == state


async def test_a_lost_pointer_is_no_fresh_machine(settings: Settings, redis: Redis) -> None:
    await prepare_redis(settings)
    configs, steering = ConfigStore(redis), SteeringStore(redis)
    changed = default_document().model_copy(update={"bandits": BanditsConfig(canary_cap=0.05)})
    by, now = Actor("ada", Role.OPERATOR), time.time()
    life = await steering.draft(changed, "mine", by, now)
    deploy = Deploy(life.number, Strategy.BLUE_GREEN, "mine", 1)
    await steering.change([Validated(life.number, life.content_hash), deploy], by, now)
    before = await steering.read()
    await redis.delete(configs.active_key)
    await prepare_redis(settings)
    active = await configs.active()
    assert (active.number, active.document) == (2, changed)
    assert len(await configs.history()) == 2  # what ships was not published again
    assert await steering.read() == before


@pytest.mark.parametrize("spoilt", ["changed", "removed", "of another type"])
async def test_a_spoilt_steering_state_is_written_again_from_its_copy(
    settings: Settings, redis: Redis, caplog: pytest.LogCaptureFixture, spoilt: str
) -> None:
    await prepare_redis(settings)
    steering, admin = SteeringStore(redis), Actor("grace", Role.ADMIN)
    now = datetime.now(UTC).timestamp()
    strict = SetSettings(SteeringSettings(approvals_needed=2))
    before = (await steering.change(strict, admin, now)).state
    if spoilt == "changed":
        await redis.hset(steering.key, "state", "{}")
    else:
        await redis.delete(steering.key)
    if spoilt == "of another type":
        await redis.rpush(steering.key, "something else")
    await prepare_redis(settings)
    assert "it is written again from its copy" in caplog.text
    after = await steering.read()
    same = {"revision": before.revision, "changed": before.changed}
    assert after.model_copy(update=same) == before
    assert after.revision == before.revision + 1
    told = [read_event(each.data).kind for each in await TimelineStream(redis).read(100)]
    assert told.count("steering_restored") == 1


async def test_a_steering_state_that_nobody_knows_does_not_keep_from_starting(
    settings: Settings, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await prepare_redis(settings)
    steering = SteeringStore(redis)
    await redis.hset(steering.key, "state", "{}")
    await redis.hset(StateCopy(redis).key, "state", "{}")
    await asyncio.to_thread(prepare, settings.model_copy(update={"emergency_mode": True}))
    assert "ballast config repair" in caplog.text
    with pytest.raises(ChangedBehindError):
        await steering.read()


@pytest.mark.parametrize("key", ["config:active", "config:in_force", "timeline"])
async def test_a_start_names_a_stray_key_and_goes_on(
    settings: Settings, redis: Redis, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    await prepare_redis(settings)
    before = await SteeringStore(redis).read()
    await redis.delete(f"ballast:{key}")
    await redis.sadd(f"ballast:{key}", "something else")
    await asyncio.to_thread(prepare, settings)
    (line,) = [each for each in caplog.messages if f"ballast:{key} in Redis is" in each]
    assert "a set in the place of a" in line
    assert "`ballast config repair`" in line
    admin = Actor("grace", Role.ADMIN)
    removed = [] if key == "config:active" else [f"ballast:{key}, removed"]  # that is restored
    assert await Repair(redis).put_back(admin, datetime.now(UTC).timestamp()) == removed
    assert (await SteeringStore(redis).read()).active == before.active
    assert (await ConfigStore(redis).active()).number == before.active


async def test_a_fresh_start_that_has_no_place_says_which_key_and_what_to_do(
    settings: Settings, redis: Redis
) -> None:
    await redis.set("ballast:timeline", "something else")
    with pytest.raises(RedisSpoiltError, match="`redis-cli DEL ballast:timeline`"):
        await asyncio.to_thread(prepare, settings)


@pytest.mark.parametrize("asked", [True, False])
async def test_a_start_may_ask_for_emergency_mode_and_never_ends_one(
    settings: Settings, redis: Redis, asked: bool
) -> None:
    begins = settings.model_copy(update={"emergency_mode": asked})
    await asyncio.to_thread(prepare, begins)
    emergency = (await SteeringStore(redis).read()).emergency
    assert (emergency is not None) is asked
    if emergency is None:
        return
    assert (emergency.by, emergency.rule) == ("EMERGENCY_MODE", "")
    await asyncio.to_thread(prepare, settings)
    assert (await SteeringStore(redis).read()).emergency == emergency
    admin = Actor("grace", Role.ADMIN)
    await SteeringStore(redis).change(EmergencyOff("a drill"), admin, emergency.since + 1)
    await asyncio.to_thread(prepare, settings)
    assert (await SteeringStore(redis).read()).emergency is None
