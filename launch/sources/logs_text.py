"""Prints which fields log files have, and what they would be used for."""

from collections.abc import Iterable

from rich.console import Console

from features.sources.logs.proposal import LogProposal
from launch.sources.consequences import follows
from launch.sources.proposal_text import columns, few, plain_console

LONGEST_EXAMPLE = 40


def show(proposal: LogProposal) -> None:
    console: Console = plain_console()
    for line in _found(proposal):
        console.print(line)
    fields = columns("field", "example", "lines", "gives", "known of")
    for each in proposal.uses:
        example = each.example[:LONGEST_EXAMPLE]
        fields.add_row(each.field, example, f"{each.share:.0%}", each.gives, each.software)
    console.print(fields)
    for line in _lacking(proposal):
        console.print(line)


def _found(proposal: LogProposal) -> Iterable[str]:
    rules, count = proposal.rules, len(proposal.entities)
    files = "file" if proposal.files == 1 else "files"
    yield f"{proposal.files} {files}; the last {proposal.lines} lines were looked at."
    if rules.entity_name is not None:
        yield (
            f"No field names a service, so all lines are of {rules.entity_name}: else give "
            "--entity-field or --entity-name."
        )
    else:
        services = "service" if count == 1 else "services"
        yield f"They are of {count} {services}: {few(proposal.entities)}."
    if proposal.unread:
        yield f"{len(proposal.unread)} of the lines tell nothing, as here {proposal.unread[0]}"
    yield ""


def _lacking(proposal: LogProposal) -> Iterable[str]:
    rules = proposal.rules
    yield ""
    if rules.latency is None:
        without = follows("p99_ms", ("request_rate",))
        yield f"No field is known to hold a latency: give --latency-field. Without one, {without}."
        if proposal.perhaps:
            yield (
                f"It may be {' or '.join(proposal.perhaps)}, in a unit that its name does not "
                "say: give --latency-unit."
            )
        if not rules.requests:
            yield "Every line counts as a request."
    if not rules.patterns:
        yield "No field says whether a request failed: give --status-field."
