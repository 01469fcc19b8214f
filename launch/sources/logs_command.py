"""`ballast connect logs`: JSON lines, in files on the machine of the history or posted to it."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.command import failed, read_settings
from launch.sources.steps import DryRun, Yes, confirm_and_connect, run, save, sentences

if TYPE_CHECKING:
    from config_store.sources import LogsSource, PostedLogsSource
    from features.sources.logs.proposal import Stated


class Unit(StrEnum):
    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


def connect_logs(
    name: Annotated[str, typer.Argument(help="A name for the source.")],
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATTERN...",
            help="Files, or patterns in quotes that match the rotated ones too, as in "
            "'/var/log/shop/access.log*'. With --posted, files that show what lines look like.",
        ),
    ] = None,
    posted: Annotated[
        bool,
        typer.Option("--posted", help="Lines are posted to /telemetry/logs, and no file is read."),
    ] = False,
    entity_field: Annotated[
        str | None, typer.Option(help="The field that names the service.")
    ] = None,
    entity_name: Annotated[
        str | None, typer.Option(help="The service, where all lines are of one.")
    ] = None,
    time_field: Annotated[
        str | None, typer.Option(help="The field that says when a request was answered.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="The zone of times without an offset, as Europe/London.")
    ] = None,
    latency_field: Annotated[
        str | None, typer.Option(help="The field that says how long a request took.")
    ] = None,
    latency_unit: Annotated[Unit | None, typer.Option(help="In which unit that is.")] = None,
    status_field: Annotated[
        str | None,
        typer.Option(help="The field by which a failure is known: a status, or a level."),
    ] = None,
    cadence: Annotated[
        int, typer.Option(help="The seconds of an interval: a multiple of 15.")
    ] = 60,
    lateness: Annotated[
        int, typer.Option(help="How many seconds after its interval a line may be written.")
    ] = 5,
    rules: Annotated[
        Path | None,
        typer.Option(help="Rules of your own, as JSON, in place of those proposed."),
    ] = None,
    save_rules: Annotated[
        Path | None, typer.Option(help="A file to write the proposed rules to, as JSON.")
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Look at the ends of log files, show how their fields would be used, and connect them.

    Or connect lines of their kind that clients post.
    """
    from features.sources.logs.proposal import Stated  # noqa: PLC0415 - for a quick `--version`
    from launch.sources import connecting, log_files  # noqa: PLC0415 - same

    settings = read_settings()
    if (rules is None) != bool(patterns):
        raise failed("Give either the files, or --rules with a file that names them.")
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
    now = datetime.now(UTC)
    source: LogsSource | PostedLogsSource
    if rules is not None and posted:
        with sentences():
            source = log_files.posted_source(
                name, log_files.read_line_rules(rules), cadence, lateness
            )
    elif rules is not None:
        source = _stated(name, rules, cadence, lateness, now)
    else:
        stated = Stated(
            entity_field,
            entity_name,
            time_field,
            time_zone,
            latency_field,
            None if latency_unit is None else latency_unit.value,
            status_field,
        )
        source = _proposed(name, patterns or [], stated, cadence, lateness, now)
        if posted:
            with sentences():
                source = log_files.posted_source(
                    name, log_files.without_paths(source.lines), cadence, lateness
                )
    save(save_rules, source.lines)
    if dry_run:
        return
    confirm_and_connect(settings, name, source, now, yes=yes)
    if posted:
        typer.echo(connecting.how_to_post_lines(settings, name))


def _stated(name: str, rules: Path, cadence: int, lateness: int, now: datetime) -> "LogsSource":
    """Show what rules of the user's own give of their files, and give the source."""
    from launch.sources import log_files  # noqa: PLC0415 - see above

    with sentences():
        own = log_files.read_rules(rules)
        source = log_files.logs_source(name, own, cadence, lateness)
        newest = log_files.newest_time(own)
    typer.echo(run(log_files.sample(name, source, newest, now)))
    return source


def _proposed(
    name: str, patterns: list[str], stated: "Stated", cadence: int, lateness: int, now: datetime
) -> "LogsSource":
    """Show what is proposed, with a sample of it, and give the source."""
    from launch.sources import log_files, logs_text  # noqa: PLC0415 - rich takes a moment

    with sentences():
        proposal = log_files.look_at(name, patterns, stated)
        source = log_files.logs_source(name, proposal.rules, cadence, lateness)
    logs_text.show(proposal)
    typer.echo(run(log_files.sample(name, source, proposal.newest, now)))
    return source
