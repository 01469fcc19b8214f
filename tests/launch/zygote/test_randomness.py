"""In processes of their own: what has drawn a random id cannot be made not to have."""

import subprocess
import sys

import pytest

PRELOADED = """
from launch.zygote.preload import Preload
preload = Preload()
preload.run(lambda: None)
"""
DRAWN = """
import ray
ray.WorkerID.from_random()
"""
CHECK = """
from launch.zygote.randomness import forks_differ
print(forks_differ())
"""


@pytest.mark.parametrize(("before", "expected"), [(PRELOADED, "True"), (DRAWN, "False")])
def test_forks_draw_ids_of_their_own_unless_one_was_drawn_before(
    before: str, expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", before + CHECK],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout.strip() == expected, done.stderr
    assert done.returncode == 0
