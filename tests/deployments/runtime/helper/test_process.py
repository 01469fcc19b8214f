import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.runtime.helper.process import (
    AWAITED,
    HelperLostError,
    HelperProcess,
    TaskFailedError,
)
from tests.waiting import until

WORKER = """
import os, sys, time
from deployments.runtime.helper import worker

def sleep(seconds):
    time.sleep(seconds)
    return os.getpid()

def chat(words):
    print(words)
    os.write(1, words.encode())
    return len(words)

worker.TASKS.update(sleep=sleep, chat=chat, nice=lambda: os.nice(0))
worker.main()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a process that knows some tasks of this test."""
    (tmp_path / "aside_under_test.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "aside_under_test"


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_tasks_are_done_beside_at_a_low_priority(module: str) -> None:
    helper = HelperProcess(module)
    pids = await asyncio.gather(*(helper.do("sleep", seconds=0.01) for _ in range(3)))
    assert set(pids) == {helper.pid}
    assert helper.pid != os.getpid()
    assert await helper.do("nice") == 19
    await helper.close()
    assert not alive(pids[0])


async def test_what_somebody_waits_for_is_behind_the_answers_and_before_all_else(
    module: str,
) -> None:
    helper = HelperProcess(module, niceness=AWAITED)
    assert await helper.do("nice") == min(os.nice(0) + AWAITED, 19)
    await helper.close()


async def test_what_is_printed_does_not_get_between_the_answers(module: str) -> None:
    helper = HelperProcess(module)
    assert await helper.do("chat", words="[0, 1, null]\n" * 3) == 39
    await helper.close()


async def test_a_task_that_fails_is_told_of_and_the_next_one_is_done(module: str) -> None:
    helper = HelperProcess(module)
    with pytest.raises(TaskFailedError, match="TypeError"):
        await helper.do("sleep", seconds="long")
    with pytest.raises(TaskFailedError, match="KeyError"):
        await helper.do("nothing")
    assert await helper.do("chat", words="a") == 1
    await helper.close()


async def test_one_that_is_killed_is_begun_anew(module: str) -> None:
    helper = HelperProcess(module)
    first = await helper.do("sleep", seconds=0)
    waiting = asyncio.create_task(helper.do("sleep", seconds=60))
    await until(lambda: bool(helper._waiting))  # it has been handed over
    os.kill(first, 9)
    with pytest.raises(HelperLostError):
        await waiting
    assert await helper.do("sleep", seconds=0) != first
    await helper.close()


async def test_one_that_hangs_is_begun_anew(module: str) -> None:
    helper = HelperProcess(module, patience_s=20.0)
    first = await helper.do("sleep", seconds=0)
    helper._patience = 0.2
    with pytest.raises(HelperLostError, match="did not finish the task"):
        await helper.do("sleep", seconds=60)
    helper._patience = 20.0
    assert helper._process is not None
    await helper._process.wait()
    assert await helper.do("sleep", seconds=0) != first
    await helper.close()


async def test_it_ends_with_whoever_began_it(module: str) -> None:
    helper = HelperProcess(module)
    pid = await helper.do("sleep", seconds=0)
    assert helper._process is not None
    assert helper._process.stdin is not None
    helper._process.stdin.close()  # as the kernel does when the replica is killed
    async with asyncio.timeout(30):
        await helper._process.wait()
    assert not alive(pid)
    await helper.close()


def test_pytorch_stays_out_of_the_replica() -> None:
    code = (
        "import sys, deployments.optimization\n"
        "print([name for name in ('torch', 'botorch', 'gpytorch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
