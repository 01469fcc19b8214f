"""What niceness leaves a process on a core that others want too.

Two processes spin on one core for a while: a stranger at niceness 0, and the one in question, in
the stranger's session or in one of its own, which may be made nice as a whole.
"""

import os
import subprocess
import sys

from benchmarks.decisions.figures import is_quick, show

# Spins on one core for so many seconds, and prints how much of the core it got.
SPIN = """\
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.nice(int(sys.argv[2]))
if sys.argv[4]:
    os.setsid()
    with open("/proc/self/autogroup", "w") as group:
        group.write(sys.argv[4])
stop = time.monotonic() + float(sys.argv[3])
while time.monotonic() < stop:
    pass
print(time.process_time() / float(sys.argv[3]))
"""


def share_of(niceness: int, core: int, seconds: float, session: str = "") -> float:
    """Tell the share of a core; `session` is the niceness of a session of its own."""
    stranger, worker = (
        subprocess.Popen(
            [sys.executable, "-c", SPIN, str(core), str(nice), str(seconds), own],
            stdout=subprocess.PIPE,
            text=True,
        )
        for nice, own in ((0, ""), (niceness, session))
    )
    stranger.communicate()
    said, _ = worker.communicate()
    return float(said)


def run(*, quick: bool) -> None:
    core, seconds = max(os.sched_getaffinity(0)), 0.5 if quick else 2.0
    own = os.nice(0)
    rows = [
        [f"niceness {nice}{where}", f"{share_of(nice - own, core, seconds, session):.0%}"]
        for nice, where, session in (
            (19, "", ""),
            (15, "", ""),
            (10, "", ""),
            (0, "", ""),
            (19, ", in a session of its own", "0"),
            (19, ", in a session of its own of niceness 10", "10"),
        )
    ]
    show("Share of a core beside one stranger at niceness 0", ("", "share"), rows)


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
