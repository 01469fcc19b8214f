"""Measure what a platform takes while nobody asks it anything: `make idle`.

    python -m benchmarks.idle.run                      a minute, once all models are trained
    python -m benchmarks.idle.run --seconds 300        longer
    python -m benchmarks.idle.run --home DIR --running a platform that runs there already

Prints a table by kind of process, the largest first, and writes it to docs/measured/idle.md, and to
idle.json beside it. Exit code 1 where all together take more of a processor than is promised.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import orjson

from benchmarks.idle.counted import Count, Taken
from benchmarks.platform import ROOT, Platform, all_trained, free_url

MOST_OF_A_CORE = 0.12
# What a start and a training leave to do: merges in the column store, the first drifts, caches.
SETTLES_SECONDS = 60.0
TRAINED_WITHIN_SECONDS = 1_800.0
HISTORY_DAYS = 14


def table(found: Mapping[str, Taken], seconds: float) -> str:
    """Give Markdown, with a line for all."""
    ordered = sorted(found.items(), key=lambda each: -each[1].processor_s)
    everything = sum(found.values(), start=Taken())
    rows = [_row(kind, each, seconds) for kind, each in [*ordered, ("all", everything)]]
    head = "| process | of a core | wake-ups a second |\n|---|---:|---:|\n"
    return head + "".join(rows)


def _row(kind: str, each: Taken, seconds: float) -> str:
    return f"| {kind} | {each.processor_s / seconds:.4f} | {each.waits / seconds:.0f} |\n"


def page(found: Mapping[str, Taken], seconds: float, cores: int, load: float) -> str:
    """Give Markdown that says where and for how long it was measured, and what was promised."""
    return (
        "# While nobody asks\n\n"
        "Written by `make idle`: what all processes of a platform take while nobody asks anything, "
        "once its models are trained.\n"
        f"Of {seconds:.0f} s on {cores} cores, at a load of {load:.2f} when it began. "
        f"Promised is less than {MOST_OF_A_CORE} of a core in all.\n\n" + table(found, seconds)
    )


def document(
    found: Mapping[str, Taken], seconds: float, cores: int, load: float
) -> dict[str, object]:
    """Give the same for programs; the largest first here too."""
    ordered = sorted(found.items(), key=lambda each: -each[1].processor_s)
    return {
        "seconds": seconds,
        "cores": cores,
        "load": load,
        "promised": MOST_OF_A_CORE,
        "of_a_core": of_a_core(found, seconds),
        "processes": {
            kind: {
                "of_a_core": each.processor_s / seconds,
                "wake_ups_per_second": each.waits / seconds,
            }
            for kind, each in ordered
        },
    }


def of_a_core(found: Mapping[str, Taken], seconds: float) -> float:
    return sum(each.processor_s for each in found.values()) / seconds


def measured(platform: Platform, seconds: float) -> dict[str, Taken]:
    before = Count.of(platform)
    time.sleep(seconds)
    return Count.of(platform).since(before)


def main() -> int:
    options = _options()
    platform = Platform(options.home.resolve(), free_url(), HISTORY_DAYS)
    try:
        if not options.running:
            _start(platform, options.settles)
        cores, load = os.cpu_count() or 1, os.getloadavg()[0]
        print(f"{cores} cores, load {load:.2f}, {options.seconds:.0f} s:\n")
        found = measured(platform, options.seconds)
    finally:
        if not options.running:
            platform.down()
    print(table(found, options.seconds))
    _write(options.out, found, options.seconds, cores, load)
    return 1 if of_a_core(found, options.seconds) > MOST_OF_A_CORE else 0


def _write(
    folder: Path, found: Mapping[str, Taken], seconds: float, cores: int, load: float
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "idle.md").write_text(page(found, seconds, cores, load))
    (folder / "idle.json").write_bytes(
        orjson.dumps(
            document(found, seconds, cores, load),
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
    )


def _start(platform: Platform, settles_s: float) -> None:
    up = platform.up()
    if up.returncode != 0:
        raise SystemExit(up.stdout + up.stderr)
    if not all_trained(platform.home / "models", TRAINED_WITHIN_SECONDS):
        raise SystemExit("The forecasters were not trained in time: see logs/training.log")
    time.sleep(settles_s)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--settles", type=float, default=SETTLES_SECONDS, help="seconds before")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench" / "idle-home")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "measured")
    parser.add_argument("--running", action="store_true", help="start and end nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
