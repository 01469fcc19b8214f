"""What operators do: scale by the file, look, start twice, stop, start again."""

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis import Redis

from launch import own_processes
from launch.serve_keys import OWN_DEPLOYMENTS
from tests.live.conftest import (
    BALLAST,
    PATIENCE_SECONDS,
    ROOT,
    Live,
    Platform,
    answer_of,
    cmdline,
    eventually,
)
from tests.live.load import Load
from tests.ports import is_free

pytestmark = [pytest.mark.live, pytest.mark.timeout(900)]

# Of whom no other test tells outcomes: the fuzz tells any of whom it likes, and then the intervals
# of those are too wide to act on.
BODY = {"entity": "pricing", "load": 0.5}
# Given up at the next decision; seen when Serve is asked again, and those that began run.
GIVEN_UP_WITHIN_SECONDS = 30


def test_starting_twice_says_so(live: Live) -> None:
    again = live.command("up")
    assert again.returncode == 1
    assert re.search(rf"already runs.*{live.run.pid}.*ballast down", again.stderr)


def test_status_tells_what_runs(live: Live) -> None:
    # What was killed by the tests before this one is said to be short until it is back.
    eventually(lambda: "ready" in live.command("status").stdout)
    shown = live.command("status")
    assert shown.returncode == 0
    assert "tail" in shown.stdout


def test_a_taken_port_is_one_sentence(live: Live, tmp_path: Path) -> None:
    taken = subprocess.run(
        [str(BALLAST), "up"],
        cwd=ROOT,
        env=Platform(tmp_path / "other", live.url).environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert taken.returncode == 1
    assert "is taken by another program" in taken.stderr
    assert "BALLAST_PORT" in taken.stderr
    assert "Traceback" not in taken.stderr


def answers_well(client: httpx.Client) -> None:
    """Wait until a model answers, with features: while replicas begin, some of it may come late."""
    last: dict[str, Any] = {}

    def well() -> bool:
        last.update(answer_of(client, BODY))
        return last["meta"]["degraded"] is False

    try:
        eventually(well)
    except AssertionError as still:
        raise AssertionError(f"{still}: the last answer was {last}") from still


def deploy(live: Live, folder: Path, **replicas: int) -> None:
    """Apply serve_config.yaml with other least numbers of replicas, as an operator does."""
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["http_options"]["port"] = int(live.url.rpartition(":")[2])
    for deployment in config["applications"][0]["deployments"]:
        if (least := replicas.get(deployment["name"])) is not None:
            deployment["autoscaling_config"] |= {"min_replicas": least, "max_replicas": least}
    edited = folder / "serve_config.yaml"
    edited.write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [str(ROOT / ".venv/bin/serve"), "deploy", str(edited), "-a", live.run.dashboard],
        cwd=ROOT,
        env=os.environ | {"RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr


def test_an_operator_scales_by_editing_the_file(live: Live, tmp_path: Path) -> None:
    before = {name: replicas(live, name) for name in OWN_DEPLOYMENTS}
    deploy(live, tmp_path, features=2)
    with live.client() as client:
        eventually(lambda: len(replicas(live, "features")) == 2)
        answers_well(client)
    # One may have come or gone with the load of the tests before.
    anew = [name for name, pids in before.items() if not replicas(live, name) & pids]
    assert anew == [], "started anew"


def replicas(live: Live, name: str) -> set[int]:
    return set(live.pids(f"ServeReplica:ballast:{name}"))


def test_more_replicas_than_there_are_cpus_are_named_and_the_rest_answers(
    live: Live, tmp_path: Path
) -> None:
    deploy(live, tmp_path, tail=500)
    with live.client() as client:

        def named() -> bool:
            told = client.get("/status").json()["degraded_reasons"]
            return any("tail" in each and "CPU each" in each for each in told)

        eventually(named)
        shown = live.command("status").stdout
        assert re.search(r"tail: \d+ of 500 replicas run; \d+ wait for 0.2 CPU each", shown)
        assert "num_replicas in the configuration" in shown
        answers_well(client)
        deploy(live, tmp_path)
        took = eventually(lambda: nobody_waits(live, "tail"), GIVEN_UP_WITHIN_SECONDS)
        print(f"back from 500: nobody waits for a place after {took:.1f} s")  # noqa: T201 - the figure is the point
        eventually(lambda: not client.get("/status").json()["degraded"])


def nobody_waits(live: Live, name: str) -> bool:
    """Tell whether no more replicas are wanted than run."""
    (found,) = (each for each in watched(live)["deployments"] if each["name"] == name)
    return 1 <= int(found["wanted"]) <= int(found["running"])


def test_everything_is_for_its_owner_only(live: Live) -> None:
    def open_to_others(path: Path) -> bool:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        return not stat.S_ISLNK(found.st_mode) and bool(found.st_mode & 0o077)

    everything = (live.home, Path(live.run.scratch), *live.home.rglob("*"))
    assert [path for path in everything if open_to_others(path)] == []


def watched(live: Live) -> dict[str, Any]:
    """Read what the supervisor writes down each second."""
    with Redis(unix_socket_path=live.redis) as redis:
        found: dict[str, Any] = json.loads(str(redis.get("ballast:platform:health").decode()))
    return found


def pid_of(live: Live, part: str) -> int:
    return next(int(each["pid"]) for each in watched(live)["parts"] if each["name"] == part)


def replica_comes_back(live: Live, name: str) -> None:
    """Kill all there are: of several, one may be more than is needed, and stay away."""
    before = replicas(live, name)
    kill(before)
    eventually(lambda: bool(replicas(live, name) - before))
    with live.client() as client:
        answer_of(client, BODY)


def kill(pids: set[int]) -> None:
    assert pids
    for pid in pids:
        with suppress(ProcessLookupError):  # it was taken away just now
            os.kill(pid, signal.SIGKILL)


async def test_a_killed_control_store_is_started_again_and_nobody_notices(live: Live) -> None:
    async with Load(live.url, live.key, clients=4) as load:
        await load.answers(50)
        first = pid_of(live, "gcs_server")
        os.kill(first, signal.SIGKILL)
        took = await asyncio.to_thread(eventually, lambda: pid_of(live, "gcs_server") != first)
        await asyncio.to_thread(replica_comes_back, live, "features")
    print(f"gcs_server killed: another after {took:.1f} s; {load.books.busy} told to come back")  # noqa: T201 - the figures are the point
    assert load.books.wrong == []


@pytest.mark.parametrize("part", ["gcs_server", "raylet"])
def test_what_hangs_is_told_of_and_goes_on(live: Live, part: str) -> None:
    stopped = pid_of(live, part)
    os.kill(stopped, signal.SIGSTOP)
    try:
        took = eventually(lambda: any(part in each for each in watched(live)["problems"]))
    finally:
        os.kill(stopped, signal.SIGCONT)
    eventually(lambda: not watched(live)["problems"])
    print(f"{part} stopped: told after {took:.1f} s")  # noqa: T201 - the figures are the point
    assert pid_of(live, part) == stopped


async def test_a_killed_raylet_brings_a_new_cluster_by_itself(live: Live) -> None:
    async with Load(live.url, live.key, clients=4) as load:
        await load.answers(50)
        first = pid_of(live, "raylet")
        os.kill(first, signal.SIGKILL)
        told = await asyncio.to_thread(eventually, lambda: watched(live)["state"] == "restarting")
        shown = await asyncio.to_thread(live.command, "status")
        assert "the Ray cluster was lost" in shown.stdout + shown.stderr
        took = await asyncio.to_thread(eventually, lambda: watched(live)["state"] == "ready", 600)
        await load.answers(20)
    print(f"raylet killed: told after {told:.1f} s, ready again after {took:.1f} s")  # noqa: T201 - the figures are the point
    assert pid_of(live, "raylet") != first
    replica_comes_back(live, "safety")


def test_replicas_are_forked_and_without_the_zygote_they_start_as_ray_starts_them(
    live: Live,
) -> None:
    first = replicas(live, "safety")
    zygote = parent_of(min(first))
    assert "launch.zygote" in cmdline(zygote)
    os.kill(zygote, signal.SIGKILL)
    with live.client() as client:
        answers_well(client)
        kill(first)
        eventually(lambda: bool(replicas(live, "safety") - first))
        answer_of(client, BODY)
    second = min(replicas(live, "safety") - first)
    assert parent_of(second) not in (zygote, 1)
    eventually(lambda: pid_of(live, "zygote") != zygote)  # and the next are forked again


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_down_leaves_nothing_behind(live: Live) -> None:
    run = live.run
    done = live.command("down")
    assert done.returncode == 0, done.stderr
    assert "killed" not in done.stdout
    gone(live, run.token, run.scratch)


def test_ctrl_c_twice_breaks_off_a_start_and_leaves_nothing(live: Live) -> None:
    process = started(live)
    assert process.stdout is not None
    for line in process.stdout:
        if "Configuration and keys" in line:
            break
    run = live.run
    for _ in range(2):
        time.sleep(1)  # somewhere in the start of Ray
        os.killpg(process.pid, signal.SIGINT)
    with process.stdout:
        rest = process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 1, rest
    assert "Ballast ended before it was ready" in rest
    assert "Traceback" not in rest
    gone(live, run.token, run.scratch)


def started(live: Live) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(BALLAST), "up"],
        cwd=ROOT,
        env=live.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_the_second_start_is_quick_and_ctrl_c_ends_all_of_it(live: Live) -> None:
    begun = time.monotonic()
    process = started(live)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C ends it" in line:
            break
    took = time.monotonic() - begun
    print(f"second start: {took:.1f} s; the first took {live.started_in:.1f} s")  # noqa: T201 - the figures are the point
    assert process.poll() is None, "".join(said)
    with live.client() as client:
        assert answer_of(client, BODY)["data"]["p99_pred"] > 0
    run = live.run
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does it: to the whole group
    with process.stdout:
        rest = process.stdout.read()
    assert process.wait(PATIENCE_SECONDS) == 0, rest
    assert "raylet" not in "".join(said) + rest  # what Ray's daemons report goes to a file
    gone(live, run.token, run.scratch)
    assert took < live.started_in  # nothing is trained, nothing filled


def gone(live: Live, token: str, scratch: str) -> None:
    assert own_processes.marked(token) == []
    assert is_free(int(live.url.rpartition(":")[2]))
    assert not Path(scratch).exists()
    assert not (live.home / "run" / "lock").exists()
    assert not (live.home / "run" / "run.json").exists()
    assert not Path(live.redis).exists()
