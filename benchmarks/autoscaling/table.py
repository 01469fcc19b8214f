"""The page that says how many replicas there were, and what became of every request."""

from collections.abc import Sequence
from typing import NamedTuple, TypedDict

TITLE = "# Replicas under a step of load"
HEAD = (
    "`make autoscaling` wrote this page, and `autoscaling.json` beside it with every second. It "
    "runs serve_config.yaml as shipped once in each profile: a few clients ask all "
    "along, and many more for a while, of one kind after the other. Replicas are those that "
    "`ballast status` counts, which asks every two seconds. There is a row for each change of the "
    "load or of a number of replicas."
)


class Sample(TypedDict):
    """One second."""

    at_s: float
    load: str
    replicas: dict[str, int]
    answered: int  # since the run began


class Lost(TypedDict):
    """What became of all requests of one run, and of the points that they carried."""

    sent: int
    answered: int
    told_to_come_back: int
    broken: int  # connections without an answer
    wrong: int  # answers that a valid request must not get
    points_acknowledged: int
    points_lost: int
    points_doubled: int


class Run(TypedDict):
    """One profile."""

    profile: str
    started: str
    machine: dict[str, str]
    steps: list[dict[str, str | int]]
    samples: list[Sample]
    lost: Lost


class Growth(NamedTuple):
    """How many replicas the deployment of a step had."""

    deployment: str
    before: int
    most: int
    after: int

    @property
    def shown(self) -> bool:
        """Whether there were more of them, and no longer at the end."""
        return self.most > self.before >= self.after


def growths(run: Run) -> list[Growth]:
    """Give for each step what became of the deployment that it was work for."""
    found = []
    for step in run["steps"]:
        name, kind = str(step["deployment"]), str(step["kind"])
        begun = next(at for at, each in enumerate(run["samples"]) if kind in each["load"])
        counts = [each["replicas"].get(name, 0) for each in run["samples"]]
        later = _until_next(run, kind, begun)
        found.append(
            Growth(name, counts[max(begun - 1, 0)], max(counts[begun:later]), counts[later - 1])
        )
    return found


def is_kept(run: Run) -> bool:
    lost = run["lost"]
    none = (lost["broken"], lost["wrong"], lost["points_lost"], lost["points_doubled"])
    return not any(none) and all(each.shown for each in growths(run))


def page(runs: Sequence[Run]) -> str:
    parts = [TITLE, HEAD]
    for run in runs:
        parts += [
            f"## `BALLAST_PROFILE={run['profile']}`",
            _machine(run),
            _samples(run),
            _lost(run),
        ]
    return "\n\n".join(parts) + "\n"


def _until_next(run: Run, kind: str, begun: int) -> int:
    """Give where the load of another step begins, or the end."""
    kinds = {str(step["kind"]) for step in run["steps"]} - {kind}
    for at in range(begun, len(run["samples"])):
        if any(other in run["samples"][at]["load"] for other in kinds):
            return at
    return len(run["samples"])


def _machine(run: Run) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in run["machine"].items())
    return f"Begun {run['started']}; {machine}."


def _samples(run: Run) -> str:
    names = list(run["samples"][0]["replicas"])
    heads = ["seconds", "load", "answers a second", *names]
    lines = [_row(heads), _row(["---:", "---", *["---:"] * (len(names) + 1)])]
    shown = _changes(run["samples"])
    for before, at in zip([None, *shown[:-1]], shown, strict=True):
        sample = run["samples"][at]
        counts = [str(sample["replicas"].get(name, 0)) for name in names]
        rate = "" if before is None else f"{_rate(run['samples'][before], sample):,.0f}"
        lines.append(_row([f"{sample['at_s']:.0f}", sample["load"], rate, *counts]))
    note = "Answers a second are counted since the row before."
    return "\n".join(lines) + f"\n\n{note}"


def _changes(samples: Sequence[Sample]) -> list[int]:
    """Give the first sample, the last one, and each that differs from the one before."""
    found = [0]
    found += [
        at
        for at in range(1, len(samples) - 1)
        if samples[at]["replicas"] != samples[at - 1]["replicas"]
        or samples[at]["load"] != samples[at - 1]["load"]
    ]
    return [*found, len(samples) - 1]


def _rate(before: Sample, after: Sample) -> float:
    return (after["answered"] - before["answered"]) / max(after["at_s"] - before["at_s"], 1e-9)


def _lost(run: Run) -> str:
    lost = run["lost"]
    return (
        f"{lost['sent']:,} requests were sent, {lost['answered']:,} answered, and "
        f"{lost['told_to_come_back']:,} told to come back (503 with Retry-After), which they did. "
        f"**Lost: {lost['broken'] + lost['wrong']:,}** ({lost['broken']:,} connections without an "
        f"answer, {lost['wrong']:,} answers that should not be). {lost['points_acknowledged']:,} "
        f"points of streams were acknowledged: **{lost['points_lost']:,} lost**, "
        f"{lost['points_doubled']:,} counted twice, by what each stream says at the end."
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
