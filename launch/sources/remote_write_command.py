"""`ballast connect remote-write`: a Prometheus that sends its samples itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from launch.command import failed, read_settings
from launch.sources.steps import (
    Cadence,
    DryRun,
    EntityLabel,
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


def connect_remote_write(
    name: Annotated[str, typer.Argument(help="A name for the source.")],
    look_at: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The address of a Prometheus that has such series, to propose a mapping from.",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="A mapping of your own, as JSON, where no Prometheus can be looked at."),
    ] = None,
    entity_label: EntityLabel = None,
    cadence: Cadence = 60,
    edition: Annotated[
        int,
        typer.Option(
            min=2, max=3, help="The major release of Prometheus whose rules rates follow: 2 or 3."
        ),
    ] = 3,
    token_file: TokenFile = None,
    save_mapping: SaveMapping = None,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Accept samples that a Prometheus writes, and print what to tell it."""
    from launch.sources import connecting  # noqa: PLC0415 - keeps `ballast version` quick
    from launch.sources.sender import sender_config  # noqa: PLC0415 - same

    settings = read_settings()
    if (look_at is None) == (mapping is None):
        raise failed(
            "Give either --look-at with the address of a Prometheus, or --mapping with a file."
        )
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
    if mapping is not None:
        with sentences():
            used = connecting.read_mapping(mapping)
    else:
        used = _proposed(name, look_at or "", entity_label, cadence, token_file)
    with sentences():
        source = connecting.remote_write_source(name, used, cadence, edition)
    save(save_mapping, used)
    typer.echo(sender_config(settings, name, used))
    if dry_run:
        return
    confirm_and_connect(settings, name, source, datetime.now(UTC), yes=yes)


def _proposed(
    name: str, url: str, entity_label: str | None, cadence: int, token_file: Path | None
) -> "Mapping":
    """Show what is proposed of what a Prometheus has, and give its mapping."""
    from launch.sources import connecting  # noqa: PLC0415 - see above
    from launch.sources.proposal_text import show  # noqa: PLC0415 - rich takes a moment

    with sentences():
        target = connecting.prometheus_target(name, url, cadence, token_file)
    proposal = run(connecting.look_at(target, entity_label, datetime.now(UTC), plain=True))
    show(proposal, target.url)
    return proposal.mapping
