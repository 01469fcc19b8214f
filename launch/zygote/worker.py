"""What a fork of the zygote does: it becomes the process that Ray wanted, and runs it."""

import gc
import os
import resource
import runpy
import signal
import sys
import time
from pathlib import Path

from deployments.runtime import ray_internals
from deployments.runtime.own_cluster import MAIN_THREAD_RESTS_SECONDS, belongs_to_one
from launch.zygote.order import JOB, NO_JOB, STREAMS, Order

OOM_SCORE = Path("/proc/self/oom_score_adj")
# By then Serve's proxies have begun; after that they are asked for their health, and little else.
PROXIES_BEGIN_WITHIN_SECONDS = 30.0


def become(order: Order, streams: list[int]) -> None:
    """Take over what the stand-in would have inherited."""
    gc.enable()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stream, wanted in zip(streams, STREAMS, strict=True):
        os.dup2(stream, wanted)
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["environment"] | {JOB: NO_JOB})
    os.chdir(order["folder"])
    if order["leads_group"]:
        os.setpgid(0, 0)
    os.setpriority(os.PRIO_PROCESS, 0, order["niceness"])
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(order["open_files"]))
    OOM_SCORE.write_text(order["oom_score"])


def run(order: Order) -> None:
    """Run the script as Python itself would have."""
    script = order["command"][0]
    sys.argv = list(order["command"])
    sys.path[0] = str(Path(script).parent)
    if belongs_to_one():
        ray_internals.let_proxies_rest(
            MAIN_THREAD_RESTS_SECONDS, PROXIES_BEGIN_WITHIN_SECONDS, time.monotonic
        )
    runpy.run_path(script, run_name="__main__")
