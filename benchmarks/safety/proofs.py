"""Checks policies with planted faults, and sound ones: `python -m benchmarks.safety.proofs`.

Ends with exit code 1 where a fault is missed, an example is not confirmed by the code that serves,
a sound policy is refused, or a check takes two seconds or more.
"""

import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.safety.faults import Fault, planted
from benchmarks.safety.replaying import confirms
from benchmarks.safety.sound import Sound, sound
from deployments.api.shipped import known_columns
from safety.policy import SafetyPolicy
from safety.proofs.check import check_policy
from safety.proofs.findings import Finding, Report

MOST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Checked:
    """One policy's check, and what it took."""

    name: str
    expected: str
    told: str
    is_right: bool
    questions: int
    seconds: float

    @property
    def passes(self) -> bool:
        return self.is_right and self.seconds < MOST_SECONDS


def check_fault(fault: Fault) -> Checked:
    """Check a policy with a fault: it must be found, and its example be confirmed."""
    active = None if fault.active is None else SafetyPolicy.model_validate(fault.active)
    report, seconds = _timed(fault.written(), active)
    found = expected(fault, report)
    is_confirmed = found is not None and confirms(fault, found)
    told = "missed" if found is None else found.message
    return Checked(fault.name, fault.kind, told, is_confirmed, report.questions, seconds)


def expected(fault: Fault, report: Report) -> Finding | None:
    """Give the finding that names the fault."""
    named = (each for each in report.findings if each.kind is fault.kind)
    return next((each for each in named if each.rule == fault.rule), None)


def check_sound(policy: Sound) -> Checked:
    """Check a policy without a fault: nothing may be found."""
    report, seconds = _timed(policy.written(), None)
    told = "; ".join(each.message for each in report.findings) or "nothing"
    return Checked(policy.name, "nothing", told, not report.findings, report.questions, seconds)


def _timed(written: object, active: SafetyPolicy | None) -> tuple[Report, float]:
    # Of the processor: what else runs on the machine is none of the check's.
    began = time.process_time()
    report = check_policy(written, known_columns(), active)
    return report, time.process_time() - began


def main() -> None:
    console = Console()
    checked = [*map(check_fault, planted()), *map(check_sound, sound())]
    table = Table("policy", "expected", "found", "right", "questions", "s")
    for each in checked:
        told = each.told if console.width > 120 else ""  # noqa: PLR2004 - a usual terminal
        right = "yes" if each.passes else "NO"
        table.add_row(
            each.name, each.expected, told, right, str(each.questions), f"{each.seconds:.2f}"
        )
    console.print(table)
    failed = [each for each in checked if not each.passes]
    slowest = max(checked, key=lambda each: each.seconds)
    console.print(
        f"{len(checked) - len(failed)} of {len(checked)} right; the slowest, {slowest.name}, took "
        f"{slowest.seconds:.2f} s of processor time."
    )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
