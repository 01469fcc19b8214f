"""A policy that is sent to the prover's process takes no memory from what answers requests."""

import subprocess
import sys

from safety.proofs.sent import MEMORY_BYTES
from tests.surface.source import REPOSITORY

CHECKED = """
import resource
from safety.proofs.sent import checked
report = checked({"families": {}}, {})
print(report["findings"] == [], *resource.getrlimit(resource.RLIMIT_AS))
try:
    bytearray(8 * 1024**3)
except MemoryError:
    print("refused")
"""


def test_the_process_is_bounded_before_it_reads_the_policy() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CHECKED], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == ["True", str(MEMORY_BYTES), str(MEMORY_BYTES), "refused"]
