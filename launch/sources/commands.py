"""`ballast connect` and `ballast sources`: real telemetry in, and what becomes of it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.command import failed, read_settings
from launch.sources import (
    backfill_command,
    candles_command,
    clickhouse_command,
    kafka_command,
    logs_command,
    remote_write_command,
)
from launch.sources.steps import (
    Cadence,
    DryRun,
    EntityLabel,
    Force,
    OwnMapping,
    SaveMapping,
    TokenFile,
    Yes,
    confirm_and_connect,
    run,
    save,
    sentences,
)

if TYPE_CHECKING:
    from features.sources.rules import Mapping
    from launch.sources.connecting import PrometheusTarget

connect = typer.Typer(help="Connect a source of telemetry.", no_args_is_help=True)
sources = typer.Typer(help="List, check, correct, pause and remove sources.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The source's name, as `sources list` prints it.")]

connect.command("candles")(candles_command.connect_candles)
connect.command("clickhouse")(clickhouse_command.connect_clickhouse)
connect.command("remote-write")(remote_write_command.connect_remote_write)
connect.command("logs")(logs_command.connect_logs)
connect.command("kafka")(kafka_command.connect_kafka)
sources.command("backfill")(backfill_command.backfill)


@connect.command("prometheus")
def connect_prometheus(
    url: Annotated[str, typer.Argument(help="Its address, such as http://prometheus:9090.")],
    name: Annotated[str, typer.Option(help="A name for the source.")] = "prometheus",
    entity_label: EntityLabel = None,
    cadence: Cadence = 60,
    token_file: TokenFile = None,
    mapping: OwnMapping = None,
    save_mapping: SaveMapping = None,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
) -> None:
    """Look at a Prometheus, show how its series would be used, and connect it."""
    from launch.sources import connecting  # noqa: PLC0415 - keeps `ballast version` quick

    settings = read_settings()
    with sentences():
        target = connecting.prometheus_target(name, url, cadence, token_file)
        own = None if mapping is None else connecting.read_mapping(mapping)
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
        if not force:
            run(connecting.refuse_again(settings, target.url))
    used = own or _proposed(target, entity_label)
    if own is not None:
        _show_rows(target, own, must_measure=not (force or dry_run))
    save(save_mapping, used)
    if dry_run:
        return
    confirm_and_connect(settings, name, target.source(used), datetime.now(UTC), yes=yes)


def _proposed(target: "PrometheusTarget", entity_label: str | None) -> "Mapping":
    """Show what is proposed, and give its mapping."""
    from launch.sources.connecting import look_at  # noqa: PLC0415 - see above
    from launch.sources.proposal_text import show  # noqa: PLC0415 - rich takes a moment

    proposal = run(look_at(target, entity_label, datetime.now(UTC)))
    show(proposal, target.url)
    return proposal.mapping


def _show_rows(target: "PrometheusTarget", mapping: "Mapping", *, must_measure: bool) -> None:
    """Show what a mapping of the user's gives now; refuse one that gives nothing at all."""
    from launch.sources.checking import ask  # noqa: PLC0415 - see above

    found = run(ask(target.name, target.source(mapping), datetime.now(UTC)))
    typer.echo(found.text)
    if must_measure and not found.measured:
        raise failed(
            f"Nothing was connected: no metric of the mapping has a value at {target.url}. See "
            "whether its series and labels are named as there, or give --force to connect it as "
            "it is."
        )


@connect.command("push")
def connect_push(
    name: Annotated[str, typer.Argument(help="A name for the source.")],
    cadence: Cadence = 60,
    yes: Yes = False,
) -> None:
    """Connect a source whose rows clients post to /telemetry."""
    from launch.sources import connecting  # noqa: PLC0415 - keeps `ballast version` quick

    settings = read_settings()
    with sentences():
        source = connecting.push_source(name, cadence)
    run(connecting.refuse_taken_name(settings, name))
    confirm_and_connect(settings, name, source, datetime.now(UTC), yes=yes)
    typer.echo(connecting.how_to_push(settings, name))


@sources.command("list")
def list_sources() -> None:
    """List what is connected, and how it is where the platform runs."""
    from launch.sources import listing  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(listing.listed(read_settings())))


@sources.command("check")
def check_source(name: Name) -> None:
    """Ask a source once, and print what it gives and what is wrong with it."""
    from launch.sources import checking  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(checking.check(read_settings(), name, datetime.now(UTC))))


@sources.command("correct")
def correct_source(
    name: Name,
    mapping: Annotated[Path, typer.Argument(help="A file with the mapping, as JSON.")],
) -> None:
    """Change the mapping of a prometheus, clickhouse or candles source."""
    from launch.sources import correcting  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(correcting.correct(read_settings(), name, mapping, datetime.now(UTC))))


@sources.command("force")
def force_source(name: Name) -> None:
    """Follow a mapping that is held back, although it is out of bounds."""
    from launch.sources import correcting  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(correcting.force(read_settings(), name, datetime.now(UTC))))


@sources.command("remove")
def remove_source(name: Name) -> None:
    """Remove a source; what was measured stays."""
    from launch.sources import listing  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(listing.remove_source(read_settings(), name, datetime.now(UTC))))


@sources.command("pause")
def pause_source(name: Name) -> None:
    """Stop asking a source until it is resumed."""
    from launch.sources import listing  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(listing.set_paused(read_settings(), name, datetime.now(UTC), paused=True)))


@sources.command("resume")
def resume_source(name: Name) -> None:
    """Ask a paused source again."""
    from launch.sources import listing  # noqa: PLC0415 - keeps `ballast version` quick

    typer.echo(run(listing.set_paused(read_settings(), name, datetime.now(UTC), paused=False)))
