from collections import Counter

import pytest

from access.keys import Principal, Role
from config_store.quotas import Quota, QuotaChange, QuotasConfig
from deployments.api.errors import QuotaError
from deployments.gateway.admission.rate_limits import IDLE_SECONDS, RateLimits

ADA, BOB = Principal("ada", Role.CLIENT), Principal("bob", Role.CLIENT)
TEN = QuotasConfig(default=Quota(requests_per_second=10, rows_per_second=100, burst_seconds=2))


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limits_of(
    config: QuotasConfig, clock: Clock, refused: Counter[str] | None = None
) -> RateLimits:
    def count(quota: str) -> None:
        if refused is not None:
            refused[quota] += 1

    limits = RateLimits(clock, count)
    limits.configure(config)
    return limits


def passed(limits: RateLimits, clock: Clock, seconds: float, steps: int) -> int:
    """Count the requests that pass of those sent evenly over a time."""
    found = 0
    for _ in range(steps):
        clock.now += seconds / steps
        try:
            limits.take_request(ADA)
        except QuotaError:
            continue
        found += 1
    return found


def test_a_key_gets_its_rate_and_its_burst_and_no_more() -> None:
    clock = Clock()
    limits = limits_of(TEN, clock)
    assert passed(limits, clock, 100, 100_000) == pytest.approx(100 * 10 + 20, abs=1)


def test_a_refusal_names_the_quota_and_says_when_to_come_again() -> None:
    clock, refused = Clock(), Counter[str]()
    limits = limits_of(TEN, clock, refused)
    limits.take_rows(ADA, 1_000)
    with pytest.raises(QuotaError) as caught:
        limits.take_rows(ADA, 1)
    assert caught.value.status == 429
    assert caught.value.code == "quota"
    assert "100 rows a second" in caught.value.message
    assert "quotas.keys.ada.rows_per_second" in caught.value.message
    assert caught.value.retry_after_s == 9  # 801 are missing, and 100 come in each second
    assert refused == {"rows": 1}
    clock.now += 8.02
    limits.take_rows(ADA, 1)


def test_one_keys_use_is_nothing_to_another() -> None:
    clock = Clock()
    limits = limits_of(TEN, clock)
    limits.take_rows(ADA, 10_000)
    limits.take_rows(BOB, 1)


def test_a_new_configuration_holds_from_the_next_request_on() -> None:
    clock = Clock()
    limits = limits_of(TEN, clock)
    limits.take_request(ADA)
    change = QuotaChange(requests_per_second=1, burst_seconds=1)
    limits.configure(TEN.model_copy(update={"keys": {"ada": change}}))
    assert passed(limits, clock, 100, 10_000) == pytest.approx(101, abs=1)


def test_a_gateway_spends_its_share() -> None:
    clock = Clock()
    limits = limits_of(TEN, clock)
    limits.take_request(ADA)
    limits.take_shares({"ada": (0.3, 0.5)}, 0.5)
    assert passed(limits, clock, 100, 10_000) == pytest.approx(300 + 6, abs=1)


def test_keys_that_are_idle_are_forgotten() -> None:
    clock = Clock()
    limits = limits_of(TEN, clock)
    limits.take_request(ADA)
    limits.take_shares({}, 1.0)
    assert "ada" in limits.keys
    clock.now += IDLE_SECONDS + 1
    limits.take_shares({}, 1.0)
    assert not limits.keys


def test_who_owes_much_is_not_forgiven_for_being_idle() -> None:
    clock = Clock()
    slow = QuotaChange(rows_per_second=0.1)
    limits = limits_of(TEN.model_copy(update={"keys": {"ada": slow}}), clock)
    limits.take_request(ADA)
    limits.take_rows(ADA, 1_000)
    for _ in range(15):  # 10,000 s until the rows are paid for
        limits.take_shares({}, 1.0)
        clock.now += IDLE_SECONDS + 1
        with pytest.raises(QuotaError):
            limits.take_rows(ADA, 1)
    limits.take_shares({}, 1.0)
    clock.now += 10_000
    limits.take_shares({}, 1.0)
    assert not limits.keys
