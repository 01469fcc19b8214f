"""A certificate says where a step was judged by less than usual, and its hash holds it to that."""

from hashlib import sha256

import orjson

from config_store.certificates.certificate import Certificate
from config_store.certificates.plan import Plan
from config_store.certificates.recompute import Refuted, Verified, recompute
from launch.verify_command import _judged_by
from tests.config_store.certificates.step import Step

LESS = "p99_ms may be worse by 50 % in place of 10 %"


def weakened(certificate: Certificate) -> Certificate:
    plan = certificate.plan.model_copy(update={"weakened": (LESS,)})
    return Certificate.seal(plan, certificate.before, certificate.looks)


def test_it_cannot_be_taken_out_unseen() -> None:
    step = Step.judged(paired=False)
    certificate = weakened(step.certificate)
    assert isinstance(recompute(certificate, step.entries), Verified)
    plan = certificate.plan.model_copy(update={"weakened": ()})
    edited = certificate.model_copy(update={"plan": plan})
    assert isinstance(recompute(edited, step.entries), Refuted)


def test_who_verifies_it_is_told() -> None:
    certificate = Step.judged(paired=True).certificate
    assert "WEAKER" not in _judged_by(certificate.plan)
    told = f"WEAKER than the platform's settings were then: {LESS}."
    assert told in _judged_by(weakened(certificate).plan)


def test_a_certificate_of_before_has_its_hash_still() -> None:
    certificate = Step.judged(paired=True).certificate
    content = certificate.model_dump(mode="json", exclude={"hash"})
    del content["counted"]  # as it was written then
    for of in ("weakened", "names_families"):
        del content["plan"][of]
    for of in ("matched", "for_all_keys"):
        del content["plan"]["design"][of]
    content["plan"]["margins"]["most_by_both"] = 0.0
    certificate = Certificate.seal(
        Plan.model_validate(content["plan"]), certificate.before, certificate.looks
    )
    del content["plan"]["margins"]["most_by_both"]
    written = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    assert certificate.content_hash() == sha256(written).hexdigest()
    assert Certificate.model_validate(content | {"hash": certificate.hash}) == certificate
