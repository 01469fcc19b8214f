"""What a peer did, played in an environment of its own and kept beside it."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def played(python: Path, module: str, arguments: Sequence[str]) -> Any:
    """Give the JSON of the last line that the peer's program prints; it runs only the first time.

    It is kept under the peer's environment, so that a new lock file makes a new play of it.
    """
    kept = python.parents[1] / "played" / f"{'-'.join(arguments)}.json"
    if not kept.exists():
        done = subprocess.run(
            [python, "-m", module, *arguments],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(done.stdout.splitlines()[-1])
    return json.loads(kept.read_text())
