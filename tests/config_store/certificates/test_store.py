"""Certificates in a real Redis."""

import pytest
from redis.asyncio import Redis

from config_store.certificates.certificate import Certificate
from config_store.certificates.store import CertificateStore
from config_store.errors import UnknownCertificateError
from tests.config_store.certificates.step import Step


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
