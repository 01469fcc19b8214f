"""A gateway or a replica that does not know what holds now gets no rows while another does."""

import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config_store.steering.watch import UP_TO_DATE_SECONDS
from config_store.store import ConfigStore, Version
from deployments.gateway.choice import SteeredChoice, VersionChoice
from deployments.gateway.ingress import UP_TO_DATE
from deployments.runtime.transport.tcp import exchange as exchange_module
from tests.config_store.steering.people import deployed, first
from tests.config_store.steering.stores import AT, document
from tests.deployments.gateway.told_apart import at_step
from tests.deployments.house import NOW, House
from tests.redis_server import RedisServer
from tests.waiting import until

BODY = {"entity": "order-gateway", "load": 0.6, "infra": 0.4, "slo_ms": 250}


async def asked_whether_up_to_date(house: House) -> int:
    async with house.stranger() as front:
        return (await front.get(UP_TO_DATE)).status_code


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


@pytest.mark.usefixtures("challenger")
async def test_a_replica_that_cannot_have_the_active_version_gets_no_rows_of_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "STRAGGLES_SECONDS", 0.1)
    straggler = await house.start("tail")
    transport = house.context.hops.transports["tail"]
    await until(lambda: len(transport.responsive()) == 2)

    async def away(_: int) -> Version:
        raise RedisConnectionError("away")

    await straggler.replica.config.stop()  # no notice comes, and no document
    monkeypatch.setattr(straggler.versions, "_read", away)
    answered = []
    answer = straggler.answer

    async def counted(*args: object) -> object:
        answered.append(args)
        return await answer(*args)

    monkeypatch.setattr(straggler, "answer", counted)
    store = ConfigStore(house.redis)
    wanted = at_step(house.document, 1)
    number = await store.publish(wanted, "ada", "a change", NOW)
    await store.activate(number)
    await until(lambda: house.answering() == number)
    for _ in range(40):
        (found,) = await house.ask(BODY)
        assert found["meta"]["config_version"] == number
        assert not found["safety"]["fallback"]
    await until(lambda: transport.avoided(wanted.config_hash) == 1)
    assert answered == []
    house.context._count_answers()
    shown = house.context.replica.metrics.replicas_avoided.labels("tail")
    assert shown._value.get() == 1
    await straggler.replica.config.start()
    await until(lambda: transport.avoided(wanted.config_hash) == 0)
