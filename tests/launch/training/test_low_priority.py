import json
import subprocess
import sys

CODE = """
import json, os
from pathlib import Path
from launch.training.low_priority import step_back
step_back()
group = Path("/proc/self/autogroup")
print(json.dumps([os.nice(0), os.getsid(0) == os.getpid(), group.exists() and group.read_text()]))
"""


def test_it_yields_to_its_own_session_and_to_all_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=60
    )
    niceness, alone, group = json.loads(done.stdout)
    assert niceness == 19
    assert alone
    assert group is False or group.endswith("nice 10\n")
