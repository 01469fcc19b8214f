"""Certificates in a real Redis."""

from collections.abc import Sequence

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from config_store.certificates import store as of_store
from config_store.certificates.certificate import Certificate
from config_store.certificates.store import CertificateStore
from config_store.errors import UnknownCertificateError
from config_store.steering.state import Rollout
from tests.config_store.certificates.step import Step
from tests.config_store.steering.people import first, in_canary

JUDGED = Step.judged(paired=False).certificate


async def test_a_certificate_is_kept_under_its_hash_and_never_overwritten(redis: Redis) -> None:
    store = CertificateStore(redis)
    first = Step.judged(paired=False).certificate
    second = Step.judged(paired=False, before=first.hash).certificate
    for each in (second, first):
        await store.keep(each)
    await store.keep(first.model_copy(update={"reason": "another one"}))
    written = await store.load([first.hash, second.hash])
    assert [Certificate.model_validate_json(each) for each in written] == [first, second]
    assert await store.load([]) == []
    with pytest.raises(UnknownCertificateError, match="There is no certificate 00"):
        await store.load([first.hash, "00"])


async def test_a_rollouts_certificates_are_listed_in_the_order_of_its_steps(redis: Redis) -> None:
    store = CertificateStore(redis)
    first = Step.judged(paired=False).certificate
    second = Step.judged(paired=False, before=first.hash).certificate
    assert await store.listed(first.plan.rollout) == []
    await store.keep(first)
    await store.keep(second, [first.hash])
    await store.keep(second, [first.hash, second.hash])  # once more, after a crash
    assert await store.listed(first.plan.rollout) == [first.hash, second.hash]
    # One that nobody went by, for the rollout's state does not name it, gives way to the next.
    third = Step.judged(paired=True, before=first.hash).certificate
    await store.keep(third, [first.hash])
    assert await store.listed(first.plan.rollout) == [first.hash, third.hash]


def of_rollout(name: str, at: float) -> Certificate:
    """Make the certificate of a rollout whose last look was at this time."""
    plan = JUDGED.plan.model_copy(update={"rollout": name})
    look = JUDGED.looks[-1].model_copy(update={"at": at})
    return Certificate.seal(plan, "", (*JUDGED.looks[:-1], look))


def going_on(name: str, certificates: Sequence[str]) -> Rollout:
    rollout = in_canary(first(), 2).rollout
    assert rollout is not None
    return rollout.model_copy(update={"id": name, "certificates": tuple(certificates)})


async def kept(redis: Redis, made: Sequence[Certificate]) -> list[str]:
    """Name the rollouts of which all is there; of the others nothing is."""
    store, found = CertificateStore(redis), list[str]()
    for each in made:
        listed = await store.listed(each.plan.rollout)
        there = await redis.hexists("ballast:certificates", each.hash)
        assert listed == ([each.hash] if there else []), each.plan.rollout
        if there:
            found.append(each.plan.rollout)
    return found


async def test_those_of_the_newest_rollouts_stay_and_those_that_are_needed(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_store, "MOST_ROLLOUTS", 2)
    store = CertificateStore(redis)
    made = [of_rollout(name, 1000.0 + at) for at, name in enumerate("zyxwv")]
    for each in made:
        await store.keep(each)
    await store.let_go([going_on("z", [made[0].hash]), going_on("v", [made[4].hash])])
    assert await kept(redis, made) == ["z", "w", "v"]
    await store.let_go([])
    assert await kept(redis, made) == ["w", "v"]


async def test_those_of_an_earlier_release_go_first(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_store, "MOST_ROLLOUTS", 3)
    store = CertificateStore(redis)
    made = [of_rollout(name, 1000.0 + at) for at, name in enumerate(("01", "02", "new", "newer"))]
    for each in made:
        await store.keep(each)
    await redis.zrem("ballast:certificates:order", "01", "02")
    await store.let_go([])
    assert await kept(redis, made) == ["02", "new", "newer"]


async def test_large_ones_leave_room_for_fewer(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CertificateStore(redis)
    made = [of_rollout(name, 1000.0 + at) for at, name in enumerate("abc")]
    for each in made:
        await store.keep(each)
    size = len(made[0].model_dump_json())
    monkeypatch.setattr(of_store, "MOST_BYTES", int(2.5 * size))
    await store.let_go([])
    assert await kept(redis, made) == ["b", "c"]
    monkeypatch.setattr(of_store, "MOST_BYTES", 1)
    await store.let_go([going_on("c", [made[2].hash])])  # it stays, however large
    assert await kept(redis, made) == ["c"]


async def test_one_that_no_rollout_names_goes_and_one_that_its_rollout_names_stays(
    redis: Redis,
) -> None:
    store = CertificateStore(redis)
    first_one, second = of_rollout("a", 1000.0), of_rollout("a", 1001.0)
    await store.keep(first_one)
    await store.keep(second)  # of a judge that did not know of the first one
    await store.let_go([going_on("a", [first_one.hash, second.hash])])
    assert len(await store.load([first_one.hash, second.hash])) == 2
    await store.let_go([going_on("a", [second.hash])])
    with pytest.raises(UnknownCertificateError):
        await store.load([first_one.hash])
    assert len(await store.load([second.hash])) == 1


async def test_a_full_redis_keeps_what_ends_a_rollout_and_lets_old_ones_go(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_store, "MOST_ROLLOUTS", 1)
    store = CertificateStore(redis)
    made = [of_rollout(name, 1000.0 + at) for at, name in enumerate("abc")]
    await store.keep(made[0])
    await redis.config_set("maxmemory", 1)
    with pytest.raises(ResponseError, match="maxmemory"):
        await store.keep(made[1])
    await store.keep(made[2], despite_full=True)
    assert await kept(redis, made) == ["a", "c"]
    await store.let_go([])
    assert await kept(redis, made) == ["c"]
