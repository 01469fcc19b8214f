"""The embedded ClickHouse: how fast telemetry goes in and comes out, and who may open its folder.

The telemetry is the simulator's; what making it costs is left out.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.decisions.figures import is_quick, show
from features.sources.simulator.platform import Platform
from features.telemetry import stored as telemetry_store
from features.telemetry.columns import Telemetry
from features.telemetry.tables import append, create_measurements, milliseconds
from observability.clickhouse.embedded import EmbeddedClickhouse

DAY = 86_400
UNTIL = 20_500 * DAY
SEED = 0
# The other process's whole program: open the folder named on its command line.
INTRUDER = """\
import sys
from pathlib import Path
from observability.clickhouse.embedded import EmbeddedClickhouse
from observability.errors import FolderTakenError
try:
    EmbeddedClickhouse(Path(sys.argv[1]))
except FolderTakenError:
    print("refused")
"""


def measured(name: str, rows: int, work: Callable[[], Any]) -> list[str]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    took, used = time.perf_counter() - wall, time.process_time() - cpu
    return [name, f"{rows:,}", f"{took:.2f}", f"{used:.2f}", f"{rows / used:,.0f}"]


def figures(store: EmbeddedClickhouse, minutes: Telemetry, days: int) -> list[list[str]]:
    rows, entities = len(minutes), sorted(set(minutes.entity.tolist()))
    since = UNTIL - days * DAY
    return [
        measured(
            "append",
            rows,
            lambda: append(store, minutes, source="demo", known_ms=milliseconds(UNTIL)),
        ),
        measured(
            "read all of it for training",
            rows,
            lambda: telemetry_store.training_rows(store, since, UNTIL),
        ),
        measured("baselines of a week", rows, lambda: telemetry_store.baselines(store, UNTIL)),
        measured(
            "the latest of each entity",
            len(entities),
            lambda: telemetry_store.newest_values(store, entities, UNTIL),
        ),
    ]


def a_second_process(folder: Path) -> str:
    """Try to open the folder while this process has it."""
    done = subprocess.run(
        [sys.executable, "-c", INTRUDER, str(folder)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "let in"


def run(*, quick: bool) -> None:
    days, entities = (3, 2) if quick else (21, 9)
    platform = Platform(SEED)
    minutes = Telemetry.concat(
        platform.minutes(entity, UNTIL - days * DAY, UNTIL)
        for entity in platform.entities[:entities]
    )
    with tempfile.TemporaryDirectory(prefix="bench-history-") as folder:
        store = EmbeddedClickhouse(Path(folder) / "history")
        create_measurements(store)
        rows = figures(store, minutes, days)
        second = a_second_process(Path(folder) / "history")
        store.close()
    head = ("", "rows", "seconds", "CPU seconds", "rows a CPU second")
    show(f"{days} days of {entities} entities", head, rows)
    show("Another process", ("", ""), [["that opens the same folder meanwhile is", second]])


if __name__ == "__main__":
    run(quick=is_quick(__doc__))
