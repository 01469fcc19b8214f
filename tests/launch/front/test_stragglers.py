"""A gateway that does not know all that holds is asked last: by the front, which sees them all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.gateway.ingress.ingress import UP_TO_DATE
from launch.front.configuration import TEMPLATE, Limits, configuration
from launch.front.servers import publish
from tests.launch.front.conftest import Front, Gateway, eventually

ENOUGH = 12


@pytest.fixture
def second() -> Iterator[Gateway]:
    gateway = Gateway("two")
    yield gateway
    gateway.close()


def test_the_front_asks_where_a_gateway_answers() -> None:
    assert f"uri {UP_TO_DATE}\n" in TEMPLATE


def begin(front: Front, *gateways: Gateway) -> None:
    publish(front.folder, [gateway.server for gateway in gateways])
    eventually("the front knows them", lambda: front.ask().status_code == 200)


def asked(front: Front) -> set[str]:
    """Name the gateways that answer; whatever changes, no request is refused."""
    answers = [front.ask() for _ in range(ENOUGH)]
    assert {each.status_code for each in answers} == {200}
    return {each.text for each in answers}


def test_a_straggler_gets_no_request_until_it_is_up_to_date_or_all_are_stragglers(
    empty_front: Front, gateway: Gateway, second: Gateway
) -> None:
    begin(empty_front, gateway, second)
    eventually("both are reached", lambda: asked(empty_front) == {"one", "two"})
    gateway.up_to_date = False
    eventually("the straggler is out", lambda: asked(empty_front) == {"two"})
    second.up_to_date = False
    eventually("with all stragglers nobody is", lambda: asked(empty_front) == {"one", "two"})
    gateway.up_to_date = True
    eventually("the first is ahead now", lambda: asked(empty_front) == {"one"})
    second.up_to_date = True
    eventually("both are in again", lambda: asked(empty_front) == {"one", "two"})


def test_the_only_gateway_that_is_up_to_date_may_end(
    empty_front: Front, gateway: Gateway, second: Gateway
) -> None:
    begin(empty_front, gateway, second)
    gateway.up_to_date = False
    eventually("the straggler is out", lambda: asked(empty_front) == {"two"})
    second.close()

    def answers() -> bool:
        answer = empty_front.ask()
        assert answer.status_code in {200, 503}, answer.text
        return answer.text == "one"

    eventually("the straggler answers", answers)
    assert asked(empty_front) == {"one"}


def test_one_gateway_alone_is_asked_only_whether_it_lives(
    tmp_path: Path, gateway: Gateway, second: Gateway
) -> None:
    def asks(*gateways: Gateway) -> bool:
        servers = [each.server for each in gateways]
        written = configuration(tmp_path, 3, Limits(100, 10), servers)
        head, _, rest = written.partition("\nbackend up_to_date")
        checked, _, served = rest.partition("\nbackend gateways")
        for each in servers:
            assert f"server {each.name} {each.address}\n" in served
        assert f"check inter {2 if len(gateways) > 1 else 1}s " in served
        told_apart = [f"server {each.name} {each.address}\n" in checked for each in servers]
        assert all(told_apart) or not any(told_apart)
        assert ("use_backend up_to_date" in head) is any(told_apart)
        return any(told_apart)

    assert not asks(gateway)
    assert asks(gateway, second)


def test_one_gateway_alone_answers_though_it_is_a_straggler(
    empty_front: Front, gateway: Gateway
) -> None:
    gateway.up_to_date = False
    begin(empty_front, gateway)
    assert asked(empty_front) == {"one"}
