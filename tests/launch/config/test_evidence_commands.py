"""`ballast config watch` as a person sees it: in a real terminal, and in a log."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from config_store.certificates.progress import StepProgress
from launch import own_processes
from launch.run_record import Run, RunRecord
from settings.environment import Settings
from tests.config_store.certificates.step import STATED, plan_of
from tests.config_store.certificates.test_progress import points_of
from tests.deployments.gateway.config_api import ConfigApi
from tests.launch.config.commanding import invoke
from tests.launch.config.terminal import COLUMNS, CTRL_C, REPOSITORY, in_terminal
from tests.ports import any_free_port
from tests.waiting import until

WATCH = ("config", "watch")
COMMAND = [sys.executable, "-m", "launch.cli", *WATCH]
ROLLOUT = "c1"
PLAN = plan_of(paired=False).model_copy(update={"rollout": ROLLOUT, "step": 0})
SHOWN_CURSOR = "\x1b[?25h"


@pytest.fixture
async def api(api: ConfigApi) -> ConfigApi:
    """Give a platform with a canary that is under way."""
    margins = [each._asdict() for each in STATED]
    rollout = {"margins": margins, "lead_seconds": 0}
    drafted = {"patch": {"serving": {"tail": {"slo_ms": 90}}}, "message": "m"}
    deploy = {"version": 2, "strategy": "canary", "id": ROLLOUT, "shares": [0.5, 1.0]}
    await api.ask("PUT", "/config/settings", {"rollout": rollout}, "adam:admin")
    for path, body in (("versions", drafted), ("versions/2/validate", {}), ("deploy", deploy)):
        found = await api.ask("POST", f"/config/{path}", body or None)
        assert found.is_success, found.text
    return api


async def looked_at(api: ConfigApi, first: int, last: int) -> None:
    """Have the judge look at the step, as often as that."""
    for point in points_of(last, PLAN)[first - 1 :]:
        await StepProgress(api.redis).keep(b"", point)


@asynccontextmanager
async def served(api: ConfigApi, settings: Settings, port: int) -> AsyncIterator[None]:
    """Answer over HTTP, as the platform that the run record of this machine names."""
    config = uvicorn.Config(
        api.app,
        host="127.0.0.1",
        port=port,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=1,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    started = own_processes.started_at(os.getpid())
    assert started is not None
    settings.paths.key_file.parent.mkdir(parents=True, exist_ok=True)
    settings.paths.key_file.write_text("adam:admin")
    with RunRecord(settings.home) as record:
        record.claim()
        record.write(Run("t", os.getpid(), started, f"http://127.0.0.1:{port}", ""))
        try:
            yield
        finally:
            server.should_exit = True
            await serving


def said(text: str) -> str:
    """Give what was written without control sequences and ends of lines."""
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split())


def last_frame(text: str) -> list[str]:
    """Give the lines of the picture that was drawn last, without control sequences."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
    return plain[plain.rindex(f"canary rollout {ROLLOUT}") :].splitlines()


async def test_one_picture_has_every_metric_against_its_margin(api: ConfigApi) -> None:
    before = await invoke(api, "watch", "--once")
    assert "Nobody has looked at this step yet" in before.output
    await looked_at(api, 1, 20)
    lines = (await invoke(api, "watch", "--once")).output.splitlines()
    assert lines[0] == f"canary rollout {ROLLOUT}: version 2 over 1, by olga"
    assert lines[4].startswith("deadline  20")
    for each in STATED:
        (at,) = [at for at, line in enumerate(lines) if line.startswith(each.metric)]
        title, margin = lines[at], lines[at + 5]
        shown = re.fullmatch(r" +margin \+\d+ (%|points) ([+-]+)", margin)
        assert shown is not None, margin
        assert len(shown[2]) == 20
        assert shown[2][0] == "+"  # little is known at first
        # Where the judge has its verdict the bar has left the margin.
        assert shown[2][-1] == "-" or "  unknown  " in title
    assert sum("  good  " in line for line in lines) >= 2


async def test_in_a_terminal_it_is_redrawn_in_place_and_ends_cleanly(
    api: ConfigApi, settings: Settings
) -> None:
    await looked_at(api, 1, 3)
    async with served(api, settings, any_free_port()), in_terminal(*WATCH) as terminal:
        await terminal.shows("3 looks from")
        await looked_at(api, 4, 6)
        await terminal.shows("6 looks from")
        frame = last_frame(terminal.text)
        assert frame[1] == "steps     [50 %] > 100 %"
        assert any(re.match(r"p99_ms  (unknown|good)  ", line) for line in frame)
        assert all(len(line) <= COLUMNS for line in frame)
        terminal.press(CTRL_C)
        assert await terminal.ends() == 130
        await terminal.shows("goes on without being watched")
        shown = terminal.text
    assert "Traceback" not in shown
    assert shown.rindex(SHOWN_CURSOR) > shown.rindex("looks from")
    # In place: what was drawn before is gone over, and not left standing above.
    assert shown.count("\x1b[1A") > 10


async def test_a_platform_that_is_away_is_said_and_waited_for(
    api: ConfigApi, settings: Settings
) -> None:
    await looked_at(api, 1, 2)
    port = any_free_port()
    async with AsyncExitStack() as undo:
        async with served(api, settings, port):
            terminal = await undo.enter_async_context(in_terminal(*WATCH))
            await terminal.shows("2 looks from")
        await terminal.shows("The platform does not answer")
        await until(lambda: "`ballast up` starts what does not" in said(terminal.text))
        await looked_at(api, 3, 4)
        async with served(api, settings, port):
            await terminal.shows("4 looks from")
            assert not any("does not answer" in line for line in last_frame(terminal.text))
            await api.ask("POST", "/config/rollout/abort", {"reason": "enough"})
            assert await terminal.ends() == 4
        await terminal.shows("was aborted at step 1 (enough)")


async def test_in_a_log_every_look_is_a_line_for_each_metric(
    api: ConfigApi, settings: Settings, tmp_path: Path
) -> None:
    await looked_at(api, 1, 3)
    log = tmp_path / "log"
    async with served(api, settings, any_free_port()):
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *COMMAND, cwd=REPOSITORY, stdout=out, stderr=subprocess.STDOUT
            )
        try:
            await until(lambda: log.read_text().count("error_rate  ") == 3)
            await looked_at(api, 4, 4)
            await until(lambda: log.read_text().count("error_rate  ") == 4)
            await api.ask("POST", "/config/rollout/abort", {"reason": "enough"})
            assert await process.wait() == 4
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    text = log.read_text()
    assert "\x1b" not in text
    assert text.count(f"canary rollout {ROLLOUT}") == 1
    assert "was aborted at step 1 (enough)" in text
    assert text.count("50 % of the keys  p99_ms  ") == 4


async def test_without_a_platform_it_says_what_to_do(settings: Settings) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    found = await asyncio.to_thread(
        subprocess.run, COMMAND, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert found.returncode == 1
    assert "Ballast does not run here; `ballast up` starts it." in " ".join(found.stderr.split())
