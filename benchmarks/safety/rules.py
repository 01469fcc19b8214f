"""Time a policy of 200 rules of every kind on a batch of 64: `python -m benchmarks.safety.rules`.

A third of the rules are ranges and a quarter relations; the others limit changes since the last
answer, widths, and states. Half of all have a condition of two or three comparisons. Judging and
repairing are timed together, as they are done for every batch.
"""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import count, islice
from typing import Any

import numpy as np

from benchmarks.safety.shipped import ROWS, carry_out, print_cost
from safety.checker import Checker
from safety.fallback import Fallback
from safety.policy import FamilyPolicy

RULES = 200
MOST_MICROSECONDS = 1_000.0
INPUTS = tuple(f"reading_{at}" for at in range(12))
OUTPUTS = tuple(f"answer_{at}" for at in range(12))


def policy_of(rules: int) -> FamilyPolicy:
    limits: dict[str, list[dict[str, Any]]] = {
        kind: [] for kind in ("ranges", "relations", "widths", "changes", "forbidden")
    }
    for kind, limit in islice(_limits(), rules):
        limits[kind].append(limit)
    fallback = [{"kind": "constant", "field": name, "value": 10.0} for name in OUTPUTS]
    return FamilyPolicy.model_validate(
        {"inputs": INPUTS, "outputs": OUTPUTS, "fallback": fallback, **limits}
    )


def _limits() -> Iterator[tuple[str, dict[str, Any]]]:
    for at in count():
        answer, other = OUTPUTS[at % 12], OUTPUTS[(at + 1) % 12]
        reading = INPUTS[at * 7 % 12]
        shared: dict[str, Any] = {"level": "unsafe", "message": "Out of bounds.", "name": f"r{at}"}
        if at % 2:
            shared["when"] = _condition(at, reading)
        repair = {"repair": ("clamp", "fallback")[at % 3 == 0]}
        match at % 12:
            case 0 | 3 | 6 | 9:
                yield "ranges", {"field": answer, "low": -at, "high": 20.0 + at} | shared | repair
            case 1 | 4 | 7:
                yield "relations", {"lesser": answer, "greater": reading, "margin": 50.0} | shared
            case 2 | 5 | 8:
                yield "changes", {"field": answer, "rise": 5, "fall_share": 0.9} | shared | repair
            case 10:
                width = {"prediction": answer, "lower": answer, "upper": other}
                yield "widths", width | {"max_relative": 9} | shared
            case _:
                yield "forbidden", shared | {"when": _condition(at, reading)}


def _condition(at: int, reading: str) -> dict[str, Any]:
    busy = {"left": reading, "op": ">", "right": 90.0 + at}
    shut = {"left": "time.market_open", "op": "==", "right": 0}
    near = {"left": OUTPUTS[at % 12], "op": ">=", "right": reading}
    return {"all": [busy, {"any": [shut, near]}]} if at % 3 else {"any": [busy, near]}


def batch() -> dict[str, Any]:
    drawn = np.random.default_rng(12)
    columns = {name: drawn.uniform(11, 15, ROWS) for name in INPUTS}
    columns |= {name: drawn.uniform(8, 10, ROWS) for name in OUTPUTS}
    columns |= {f"last.{name}": columns[name] + 0.1 for name in OUTPUTS}
    return columns | {"time.market_open": np.ones(ROWS), "last.age_seconds": np.full(ROWS, 60.0)}


def _spoiled(columns: dict[str, Any], name: str, value: float) -> dict[str, Any]:
    """Put the value into every sixteenth row of a column."""
    return columns | {name: np.where(np.arange(ROWS) % 16, columns[name], value)}


def main() -> None:
    policy = policy_of(RULES)
    checker = Checker(policy)
    fallback = Fallback(policy, checker)
    clean = batch()
    cases = {
        "clean": clean,
        "four clamped": _spoiled(clean, "answer_2", 25.0),
        "four lost": _spoiled(clean, "answer_0", 1e4),
        "four forbidden": _spoiled(clean, "reading_5", 150.0),
    }
    slowest = max(_cost_of(kind, checker, fallback, each) for kind, each in cases.items())
    if slowest > MOST_MICROSECONDS:
        sys.exit(f"{slowest:.0f} us is more than the {MOST_MICROSECONDS:.0f} us that are promised")


def _cost_of(kind: str, checker: Checker, fallback: Fallback, columns: dict[str, Any]) -> float:
    found = sum(map(len, checker.check(columns, ROWS).violations.values()))
    label = f"{RULES} rules, {kind} ({found} violations)"
    return print_cost(label, partial(carry_out, checker, fallback, columns))


if __name__ == "__main__":
    main()
