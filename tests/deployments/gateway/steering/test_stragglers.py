"""A gateway or a replica that does not know what holds now gets no rows while another does."""

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.running import RunningVersions
from config_store.steering.commands import Deploy
from config_store.steering.state import Strategy
from config_store.steering.watch import UP_TO_DATE_SECONDS
from config_store.store import ConfigStore, Version, packed
from deployments.gateway.ingress.ingress import UP_TO_DATE
from deployments.gateway.steering.choice import SteeredChoice, VersionChoice
from deployments.runtime.transport.call import Call
from deployments.runtime.transport.frame import Frame
from deployments.runtime.transport.tcp import exchange as exchange_module
from tests import deploying
from tests.config_store.steering.people import deployed, first
from tests.config_store.steering.stores import AT, document
from tests.deployments.gateway.rollouts import ADA, QUICK, Operator
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import NOW, House, server_of
from tests.redis_server import RedisServer
from tests.waiting import PATIENCE_SECONDS, until

BODY = {"entity": "order-gateway", "load": 0.6, "infra": 0.4, "slo_ms": 250}


async def asked_whether_up_to_date(house: House) -> int:
    async with house.stranger() as front:
        return (await front.get(UP_TO_DATE)).status_code


async def ask_some(house: House, number: int) -> None:
    for _ in range(20):
        (found,) = await house.ask(BODY)
        assert found["meta"]["config_version"] == number
        assert not found["safety"]["fallback"]


def asked_by_version(house: House, stage: str, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what the stage's first replica is sent over the wire, whether it answers or not."""
    server, asked = server_of(house.open[stage][0]), Counter[str]()
    answer = server.answer

    async def counted(number: int, frame: Frame, call: Call) -> bytes:
        asked[frame.head["config_hash"]] += 1
        return await answer(number, frame, call)

    monkeypatch.setattr(server, "answer", counted)
    return asked


async def test_a_gateway_that_has_not_looked_for_long_says_so_and_goes_on(
    house: House, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    steering = house.context.replica.steering
    await until(lambda: steering.up_to_date)
    assert await asked_whether_up_to_date(house) == 200
    redis_server.kill()
    await until(lambda: steering.stale)
    later = UP_TO_DATE_SECONDS + 10
    monkeypatch.setattr(steering, "_clock", lambda: time.monotonic() + later)
    assert await asked_whether_up_to_date(house) == 503
    assert any("has not been read" in each for each in house.context.degraded_reasons())
    (answer,) = await house.ask(BODY)  # it may be the only one that there is
    assert answer["meta"]["degraded"]
    redis_server.start()
    await until(lambda: steering.up_to_date)
    assert await asked_whether_up_to_date(house) == 200
    async with house.client() as client:
        ready = (await client.get("/ready")).json()
    assert ready["parts"]["steering"]


async def test_a_gateway_without_the_documents_of_the_state_it_saw_is_behind() -> None:
    now = [100.0]
    documents: dict[int, Version] = {}

    async def read(number: int) -> Version:
        try:
            return documents[number]
        except KeyError:
            raise RedisConnectionError("away") from None

    choice = VersionChoice(lambda: None, lambda: 0.0)
    steered = SteeredChoice(choice, read, clock=lambda: now[0])
    state = deployed(first(), 2)
    wanted = document(2)
    lives = {
        number: life.model_copy(update={"content_hash": wanted.config_hash})
        for number, life in state.versions.items()
    }
    steered.follow(state.model_copy(update={"versions": lives}))
    now[0] += 3.0
    assert steered.behind_seconds == 3.0
    with pytest.raises(RedisConnectionError):
        await steered.step()
    assert (choice.active(), steered.behind_seconds) == (None, 3.0)
    documents |= {
        number: Version(number, wanted.config_hash, "ada", "m", AT, wanted) for number in (1, 2)
    }
    await steered.step()
    assert steered.behind_seconds == 0.0
    active = choice.active()
    assert active is not None
    assert active.number == 2


async def test_a_gateway_that_lost_to_another_document_says_so_once_and_goes_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    operator, context = Operator(house), house.context
    candidate = await operator.draft(at_step(house.document, 2))
    documents = ConfigStore(house.redis).versions_key
    drafted: Any = await house.redis.hget(documents, str(candidate))
    other = packed(at_step(house.document, 3), "mallory", "a change", NOW)
    await house.redis.hset(documents, str(candidate), other)
    after = (await operator.store.read()).active
    deploy = Deploy(candidate, Strategy.BLUE_GREEN, "spoilt", after, shares=(0.0,), settings=QUICK)
    await operator.store.change(deploy, ADA, context.clocks.wall())
    gauge = context.replica.metrics.steering_behind_seconds
    await until(lambda: gauge._value.get() > UP_TO_DATE_SECONDS)
    assert await asked_whether_up_to_date(house) == 503
    (reason,) = [each for each in context.degraded_reasons() if "older steering state" in each]
    assert f"Configuration version {candidate} was published with hash" in reason
    running, drafted_hash = RunningVersions(house.redis), at_step(house.document, 2).config_hash
    why: list[str] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not why:
            gateways = [each for each in await running.all() if each.role == "gateway"]
            why = [said for each in gateways if (said := each.why_not_loaded(drafted_hash))]
    assert why[0] in reason
    assert house.answering() == after
    await context._following.steered.step()
    assert sum("cannot be answered by" in each for each in caplog.messages) == 1
    await house.redis.hset(documents, str(candidate), drafted)
    await until(lambda: context.choice.candidate is not None)
    assert await asked_whether_up_to_date(house) == 200
    await until(lambda: context.degraded_reasons() == [])


async def test_a_document_in_memory_gives_way_to_no_other_that_has_its_number() -> None:
    choice = VersionChoice(lambda: None, lambda: 0.0)
    drafted, other = (
        Version(1, each.config_hash, "ada", "m", AT, each) for each in (document(1), document(2))
    )

    async def read(_: int) -> Version:
        return other

    steered = SteeredChoice(choice, read)
    state = first()
    life = state.versions[1].model_copy(update={"content_hash": drafted.config_hash})
    state = state.model_copy(update={"versions": {1: life}})
    steered.keep(drafted)
    steered.follow(state)
    steered.keep(other)
    steered.follow(state.model_copy(update={"revision": state.revision + 1}))
    assert (choice.active(), steered.behind_seconds) == (drafted, 0.0)
    # Where it is not in memory, it is none at all.
    late = SteeredChoice(choice := VersionChoice(lambda: None, lambda: 0.0), read)
    late.follow(state)
    await late.step()
    assert choice.active() is None
    assert "was published with hash" in late.why_behind()


@pytest.mark.usefixtures("challenger")
async def test_a_replica_that_cannot_have_the_active_version_gets_no_rows_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", 0.1)
    # Where all have as little to do, the one that was there first is asked.
    straggler, asked = house.replicas["tail"][0], asked_by_version(house, "tail", monkeypatch)
    await house.start("tail")
    transport = house.context.hops.transports["tail"]
    await until(lambda: len(transport.responsive()) == 2)
    await ask_some(house, house.answering())
    assert asked.total()

    async def away(_: int) -> Version:
        raise RedisConnectionError("away")

    await straggler.replica.config.stop()  # no notice comes, and no document
    monkeypatch.setattr(straggler.versions, "_read", away)
    wanted = at_step(house.document, 1)
    number = await deploying.deployed(house.redis, wanted)
    await until(lambda: house.answering() == number)
    await ask_some(house, number)  # what it is sent all the same goes to the other one
    await until(lambda: transport.avoided(wanted.config_hash) == 1)
    before = asked[wanted.config_hash]
    await ask_some(house, number)
    assert asked[wanted.config_hash] == before
    house.context._counts.write()
    shown = house.context.replica.metrics.replicas_avoided.labels("tail")
    assert shown._value.get() == 1
    await straggler.replica.config.start()
    await until(lambda: transport.avoided(wanted.config_hash) == 0)
    await ask_some(house, number)
    assert asked[wanted.config_hash] > before
