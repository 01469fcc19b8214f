import asyncio
import socket

import pytest

from benchmarks.chaos.outages import Outages, watch
from tests.waiting import until


def test_connections_refused_in_a_row_are_one_outage() -> None:
    outages = Outages()
    for at, taken in ((0.0, True), (1.0, False), (2.0, False), (4.0, True), (5.0, True)):
        outages.note(at, taken=taken)
    assert [(each.start, each.seconds) for each in outages.all] == [(1.0, 3.0)]
    assert outages.longest == 3.0


def test_a_connection_between_two_refusals_ends_the_row() -> None:
    outages = Outages()
    for at, taken in ((0.0, False), (1.0, True), (1.5, False), (2.5, True)):
        outages.note(at, taken=taken)
    assert outages.longest == 1.0
    assert len(outages.all) == 2


def test_an_outage_that_has_not_ended_counts() -> None:
    outages = Outages()
    outages.note(3.0, taken=False)
    outages.note(9.0, taken=False)
    assert outages.longest == 6.0


def test_without_refusals_there_is_none() -> None:
    outages = Outages()
    outages.note(1.0, taken=True)
    assert outages.longest == 0.0


@pytest.mark.parametrize("listens", [True, False])
async def test_a_real_port_is_watched(*, listens: bool) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen(64)
        outages, stop = Outages(), asyncio.Event()
        port = server.getsockname()[1]
        watching = asyncio.create_task(watch(outages, "127.0.0.1", port, stop))
        await until(lambda: outages.asked > 2)
        stop.set()
        await watching
    assert bool(outages.all) is not listens
