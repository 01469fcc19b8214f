"""What a replica tells of its load, while it really works, sleeps and blocks."""

import time

import pytest

from deployments.runtime.autoscaling.meter import BusyMeter, LoadMeter, LoopWait
from deployments.runtime.autoscaling.signals import BUSY, RESERVED, SPARE, WAIT
from tests.waiting import until


def work(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_the_meter_tells_work_from_sleep() -> None:
    busy = BusyMeter()
    time.sleep(0.2)
    idle = busy.cores()
    work(0.2)
    assert busy.cores() > 5 * idle


async def probed(wait: LoopWait, times: int) -> None:
    """Let the loop go on until so many probes were made."""
    seen = [0]
    wait.at_each_probe.append(lambda: seen.__setitem__(0, seen[0] + 1))
    await until(lambda: seen[0] >= times, 30.0)


async def test_who_blocks_the_loop_lets_others_wait() -> None:
    wait = LoopWait()
    wait.start()
    try:
        await probed(wait, 1)
        wait.seconds()
        time.sleep(0.6)  # noqa: ASYNC251 - that is what is measured
        await probed(wait, 1)
        assert wait.seconds() > 0.2
    finally:
        wait.stop()


async def test_an_idle_loop_lets_nobody_wait() -> None:
    wait = LoopWait()
    wait.start()
    try:
        await probed(wait, 2)
        assert wait.seconds() < 0.2
        assert wait.seconds() == 0.0  # nothing since
    finally:
        wait.stop()


async def test_who_asks_seldom_has_it_probed_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    wait = LoopWait()
    pauses = list[float]()
    for between in (0.1, 3.0, 6.0, 10.0, 60.0):
        now[0] += between
        wait.seconds()
        pauses.append(wait._pause_s)
    assert pauses == [0.25, 0.25, 0.5, pytest.approx(10 / 12), 1.0]


async def test_a_meter_that_was_stopped_probes_no_more() -> None:
    stopped, other = LoopWait(), LoopWait()
    seen: list[None] = []
    stopped.at_each_probe.append(lambda: seen.append(None))
    stopped.start()
    await until(lambda: bool(seen), 30.0)
    stopped.stop()
    before = len(seen)
    other.start()
    try:
        await probed(other, 3)
    finally:
        other.stop()
    assert len(seen) == before


async def test_the_report_holds_what_serve_takes() -> None:
    """Serve takes a dictionary of texts and numbers, and nothing for good after anything else."""
    meter = LoadMeter()
    looks: list[None] = []
    meter.also(lambda: looks.append(None), lambda: {"wait_s tail": 0.25})
    meter.start()
    try:
        await until(lambda: bool(looks), 30.0)
        found = meter.report()
    finally:
        meter.stop()
    assert found.keys() == {BUSY, WAIT, SPARE, RESERVED, "wait_s tail"}
    assert all(type(value) is float for value in found.values())
    assert found["wait_s tail"] == 0.25
    assert found[RESERVED] == 0.0  # no replica of Ray's


@pytest.mark.parametrize("started", [True, False])
async def test_what_was_not_started_can_be_stopped(*, started: bool) -> None:
    meter = LoadMeter()
    if started:
        meter.start()
    meter.stop()
