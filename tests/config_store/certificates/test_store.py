"""Certificates in a real Redis."""

import pytest
from redis.asyncio import Redis

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
    assert await store.load([first.hash, second.hash]) == [first, second]
    assert await store.load([]) == []
    with pytest.raises(UnknownCertificateError, match="There is no certificate 00"):
        await store.load([first.hash, "00"])
