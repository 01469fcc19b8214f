"""Bounds what one question may cost, in the prover's own steps.

Steps are counted and not timed: a verdict must not depend on how busy a machine is, or a policy
would pass on one and not on another.
"""

import z3

# About two seconds of a processor of 2024; the questions of the shipped policies take a hundredth.
STEPS = 2_500_000
# By the clock: only a machine that stands still for this long is given up.
PATIENCE_MS = 30_000
_COUNT = "rlimit count"


class Budget:
    """The steps that are left of one question."""

    def __init__(self, steps: int = STEPS) -> None:
        self._left = steps

    def check(self, solver: z3.Solver, most: int = STEPS) -> z3.CheckSatResult:
        """Let the solver work for so many steps, and for what is left, at most."""
        if self._left <= 0:
            return z3.unknown
        before = _steps(solver)
        solver.set("rlimit", min(self._left, most))
        solver.set("timeout", PATIENCE_MS)
        answer = solver.check()
        self._left -= max(_steps(solver) - before, 1)
        return answer


def _steps(solver: z3.Solver) -> int:
    counts = solver.statistics()
    return int(counts.get_key_value(_COUNT)) if _COUNT in counts.keys() else 0  # noqa: SIM118 - z3's own
