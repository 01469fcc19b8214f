"""Prints what was found at a Prometheus, and how it would be used."""

from collections import defaultdict
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from features.sources.prometheus.proposed import Chosen, Proposal
from features.telemetry.columns import COLUMNS
from launch.sources.consequences import follows
from models.tail.buckets import Bucket, find_bucket
from models.tail.requests import QUANTILES

SHOWN_ENTITIES = 12
# In a log or a pipe nobody knows the width; narrower, PromQL could not be read.
PLAIN_WIDTH = 120

_UNITS = {column.name: column.unit for column in COLUMNS}


def show(proposal: Proposal, url: str) -> None:
    console = plain_console()
    for line in _found(proposal, url):
        console.print(line)
    console.print(_used(proposal))
    if proposal.missing:
        console.print()
        console.print(_lacking(proposal))


def plain_console() -> Console:
    """Give a console that prints what it is given, and folds nothing in a pipe."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    return console


def _found(proposal: Proposal, url: str) -> Iterable[str]:
    entities = proposal.entities
    yield (
        f"{url} measures {len(entities)} {'service' if len(entities) == 1 else 'services'}, "
        f"named by the label {proposal.mapping.entity}: {few(entities)}."
    )
    if proposal.left_out:
        yield f"Left out, as they serve no requests: {few(proposal.left_out)}."
    if proposal.mapping.deploys is not None:
        version = proposal.mapping.version_label
        yield (
            f"Deploys are seen by {proposal.mapping.deploys.name}"
            f"{'' if version is None else f' and its label {version}'}."
        )
    if not proposal.silent and proposal.why_silent:
        yield f"No rate is known yet: {proposal.why_silent}."
    if proposal.silent:
        why = proposal.why_silent or "perhaps there were no requests in it"
        yield f"Nothing has {few(proposal.silent)} in the newest interval: {why}."
    if bounded := within_a_bucket(proposal):
        ends = ", ".join(f"{end:.3g}" for end in sorted({b.end for b in bounded.values()}))
        yield (
            f"Too fast for the buckets of their histogram: {few(tuple(bounded))}. Nearly all "
            f"requests are in one bucket, which ends at {ends} ms, so latencies below are bounds "
            "and no measurements. Add finer buckets there, or use native histograms."
        )
    yield ""


def few(names: tuple[str, ...]) -> str:
    """Name some, and say how many more there are."""
    more = len(names) - SHOWN_ENTITIES
    shown = ", ".join(map(printable, names[:SHOWN_ENTITIES]))
    return shown + (f" and {more} more" if more > 0 else "")


def printable(text: str) -> str:
    """Show what would steer a terminal, as a label's value may, as an escape."""
    return "".join(
        each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text
    )


def _used(proposal: Proposal) -> Table:
    shown = columns("metric", "services", "newest", "made of")
    for each in proposal.chosen:
        shown.add_row(
            each.metric,
            f"{len(each.newest)} of {len(proposal.entities)}",
            _example(each),
            printable(f"{each.promql}\n  {each.why}"),
        )
    return shown


def _example(chosen: Chosen) -> str:
    newest = chosen.newest
    if not newest:
        return "none now"
    name = min(newest)
    unit = _UNITS[chosen.metric]
    shown = {"1": "", "0-1": "", "1/s": "/s"}.get(unit, f" {unit}")
    return f"{printable(name)}: {newest[name]:.4g}{shown}"


def _lacking(proposal: Proposal) -> Table:
    there = {each.metric for each in proposal.chosen}
    shown = columns("missing", "without it", "what would give it")
    for each in proposal.missing:
        alike = f"\n  perhaps, by hand: {', '.join(each.looks_like)}" if each.looks_like else ""
        shown.add_row(each.metric, follows(each.metric, there), f"{', '.join(each.gives)}{alike}")
    return shown


def columns(*names: str) -> Table:
    """Make a table without lines, whose text is folded rather than cut."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(Text(name, style="bold"), overflow="fold", no_wrap=name == "metric")
    return table


def within_a_bucket(proposal: Proposal) -> dict[str, Bucket]:
    """Give the bucket of each service whose newest quantiles all lie within one."""
    quantiles: dict[str, dict[str, float]] = defaultdict(dict)
    for chosen in proposal.chosen:
        if chosen.metric in QUANTILES:
            for entity, value in chosen.newest.items():
                quantiles[entity][chosen.metric] = value
    found = {entity: find_bucket(values) for entity, values in sorted(quantiles.items())}
    return {entity: bucket for entity, bucket in found.items() if bucket is not None}
