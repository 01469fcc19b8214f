"""What policy and steering cost on the way of a tail-slo request, in processor time.

    python -m benchmarks.speed.hot_path
    python -m benchmarks.speed.hot_path --before CHECKOUT --parts 1000

`safety stage` is what that process does with a batch, from the bytes that it gets to those that it
sends. `gateway` is the gateway's own part of one request, from its checked rows to their envelopes:
the stages answer it at once. With another checkout both are timed in turn, part by part, so that
what else the machine does falls on both alike; each has a process of its own, which runs
`hot_path_costs.py`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

HERE = Path(__file__).resolve()
REPOSITORY = HERE.parents[2]
WORKER = HERE.with_name("hot_path_costs.py")

Label = tuple[str, int]


class Cost(NamedTuple):
    """Microseconds of one call, over all pieces of all parts."""

    least: float
    median: float

    @classmethod
    def of(cls, parts: Sequence[float]) -> Self:
        return cls(min(parts), statistics.median(parts))


class Measured:
    """One checkout, in a process that waits to be asked for a part."""

    def __init__(self, checkout: Path) -> None:
        # Without -P the modules beside the worker would be found before those they are named like.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.labels: list[Label] = [(name, rows) for name, rows in self._read()]
        self._parts: list[list[list[float]]] = []

    def part(self) -> None:
        """Time one part of each case."""
        said = _open(self._process.stdin)
        said.write("\n")
        said.flush()
        self._parts.append(self._read())

    def end(self) -> dict[Label, Cost]:
        """Let the process go, and give what it measured."""
        _open(self._process.stdin).close()
        self._process.wait()
        _open(self._process.stdout).close()
        by_case = zip(*self._parts, strict=True)
        return {
            label: Cost.of([piece for part in parts for piece in part])
            for label, parts in zip(self.labels, by_case, strict=True)
        }

    def _read(self) -> Any:
        line = _open(self._process.stdout).readline()
        if not line:
            raise SystemExit(f"the worker ended with {self._process.wait()}: see above")
        return json.loads(line)


def _open(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None  # noqa: S101 - it was asked for
    return pipe


def measure(checkouts: Sequence[Path], parts: int) -> list[dict[Label, Cost]]:
    """Time all checkouts in turn."""
    workers = [Measured(each) for each in checkouts]
    for _ in range(parts):
        for each in workers:
            each.part()
    return [each.end() for each in workers]


def table(now: dict[Label, Cost], before: dict[Label, Cost] | None = None) -> str:
    """Write the figures down, a line a case; a dash stands where there was nothing of the kind."""
    head = f"{'us of the processor':<28}{'rows':>5}"
    columns = f"{'least':>10}{'median':>10}"
    lines = [head + columns if before is None else f"{head}{columns}{columns}{'more by':>10}"]
    for label, cost in now.items():
        then = None if before is None else before.get(label)
        line = f"{label[0]:<28}{label[1]:>5}"
        if before is not None:
            line += f"{'-':>10}{'-':>10}" if then is None else _figures(then)
        line += _figures(cost)
        if then is not None:
            line += f"{cost.least - then.least:>+10.1f}"
        lines.append(line)
    return "\n".join(lines)


def _figures(cost: Cost) -> str:
    return f"{cost.least:>10.1f}{cost.median:>10.1f}"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout, whose code is timed too")
    parser.add_argument("--parts", type=int, default=300)
    plan = parser.parse_args(arguments)
    if plan.before is None:
        print(table(*measure([REPOSITORY], plan.parts)))
    else:
        before, now = measure([plan.before.resolve(), REPOSITORY], plan.parts)
        print("first the checkout before, then this one; the least costs differ by `more by`")
        print(table(now, before))


if __name__ == "__main__":
    main(sys.argv[1:])
