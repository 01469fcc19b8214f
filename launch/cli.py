"""The command line: `ballast up`, `down`, `status`, `bootstrap`, `audit`, `key` and the rest."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from access.keys import Role
from launch import own_processes
from launch.cluster import before_ray
from launch.command import failed, read_settings, say
from launch.config.commands import config
from launch.detached import start_detached
from launch.errors import AlreadyRunningError, LaunchError
from launch.failure import explain
from launch.features.commands import features
from launch.private_files import keep_private
from launch.run_record import Run, RunRecord
from launch.safety.commands import safety
from launch.sources.commands import connect, sources
from settings import aliases
from settings.environment import Settings
from settings.names import unread

app = typer.Typer(
    help="Ballast: model serving for the people who keep a trading platform upright.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
app.add_typer(keys, name="key")
app.add_typer(connect, name="connect")
app.add_typer(sources, name="sources")
app.add_typer(features, name="features")
app.add_typer(config, name="config")
app.add_typer(safety, name="safety")
archive = typer.Typer(
    help="Show where the archive of decisions is, or give it up.", no_args_is_help=True
)
app.add_typer(archive, name="archive")

# Of `ballast audit`: 1 says that no verdict was reached.
NOT_SOUND = 4
DOWN_WITHIN_SECONDS = 60
KILLED_WITHIN_SECONDS = 5

ConfigFile = Annotated[
    Path, typer.Option("--config", help="The Serve configuration file, which says what runs.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _private(
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version, as `version` does.",
        ),
    ] = False,
) -> None:
    keep_private()


@app.command()
def up(
    detach: Annotated[
        bool,
        typer.Option("--detach", help="Return when the platform is ready; `ballast down` ends it."),
    ] = False,
    config: ConfigFile = Path("serve_config.yaml"),
) -> None:
    """Start everything on this machine: Redis, Ray, the history, the models, the API."""
    settings = read_settings()
    try:
        if detach:
            _detached(settings, config)
        else:
            _foreground(settings, config)
    except KeyboardInterrupt:
        raise failed("Ballast ended before it was ready.") from None
    except typer.Exit:
        raise  # the child has said why
    except Exception as error:  # noqa: BLE001 - whatever it is, one sentence says what to do
        raise failed(str(explain(error, settings))) from None


def _foreground(settings: Settings, config: Path) -> None:
    _refuse_second(settings)
    _warn()
    os.environ.update(before_ray())
    from launch.supervise import supervise  # noqa: PLC0415 - imports Ray: see above

    supervise(settings, config)


def _warn() -> None:
    """Say which variables are not read, or are taken in place of others."""
    for line in [*unread(os.environ), *aliases.warnings(os.environ)]:
        typer.secho(line, fg="yellow", err=True)


def _refuse_second(settings: Settings) -> None:
    """Say so before the seconds that Ray's import takes."""
    run = RunRecord(settings.home).read()
    if run is not None and own_processes.alive(run.pid, run.started):
        raise AlreadyRunningError(run.owner)


def _detached(settings: Settings, config: Path) -> None:
    _refuse_second(settings)
    if code := start_detached(settings, config, typer.echo):
        raise typer.Exit(code)
    typer.echo("Ballast runs in the background; `ballast down` ends it.")


@app.command()
def down() -> None:
    """End every process that `ballast up` started, and only those."""
    settings = read_settings()
    record = RunRecord(settings.home)
    run = record.read()
    if run is None:
        record.clear()  # one that was killed at its very beginning left a lock alone
        typer.echo("Ballast does not run here.")
        return
    _end_supervisor(run)
    left = own_processes.end(run.token, patience_s=5)
    _clear(record, run)
    killed = f" ({len(left)} had to be killed)" if left else ""
    typer.echo(f"Ballast has ended{killed}.")


def _end_supervisor(run: Run) -> None:
    """Let the supervisor take everything down in order, for as long as that may take."""
    if not own_processes.alive(run.pid, run.started):
        return
    os.kill(run.pid, 15)
    if not _ends(run, DOWN_WITHIN_SECONDS):
        os.kill(run.pid, 9)
        _ends(run, KILLED_WITHIN_SECONDS)  # it holds its lock until then


def _ends(run: Run, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while own_processes.alive(run.pid, run.started):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def _clear(record: RunRecord, run: Run) -> None:
    import shutil  # noqa: PLC0415 - only after an unclean end is there anything to clear

    shutil.rmtree(run.scratch, ignore_errors=True)
    record.clear()


@app.command()
def status() -> None:
    """Tell whether the platform runs here, and how well."""
    settings = read_settings()
    run = RunRecord(settings.home).read()
    if run is None or not own_processes.alive(run.pid, run.started):
        if run is not None and own_processes.marked(run.token):
            raise failed(
                "`ballast up` was killed. What it started may still answer, but nothing "
                "is restarted: `ballast down` ends it, and `ballast up` starts it again."
            )
        typer.echo("Ballast does not run here; `ballast up` starts it.")
        raise typer.Exit(3)
    from launch.status import lines_of  # noqa: PLC0415 - keeps `ballast version` quick

    shown = asyncio.run(lines_of(settings, run, time.time()))
    for line in shown.lines:
        typer.echo(line)
    if shown.failure:
        raise failed(shown.failure)


@app.command()
def bootstrap(
    address: Annotated[
        str, typer.Option(envvar="RAY_ADDRESS", help="The cluster's head, as host:port.")
    ] = "auto",
) -> None:
    """Give a Ray cluster that runs what it needs once: a configuration, a key, history, a model."""
    settings = read_settings()
    _warn()
    from launch.cluster_start import prepare_cluster  # noqa: PLC0415 - imports Ray

    try:
        prepare_cluster(settings, address)
    except KeyboardInterrupt:
        raise failed("Ballast ended before it was ready.") from None
    except Exception as error:  # noqa: BLE001 - whatever it is, one sentence says what to do
        raise failed(str(explain(error, settings))) from None


@app.command()
def audit(
    decision: Annotated[
        str | None,
        typer.Option("--decision", help="Verify only the decision with this id."),
    ] = None,
) -> None:
    """Verify that the ledger holds every decision as it was written: exit code 4 if not."""
    settings = read_settings()
    from launch.audit_command import (  # noqa: PLC0415 - opens the column store
        verify_decision,
        verify_ledger,
    )
    from launch.progress import Progress  # noqa: PLC0415 - rich takes a moment

    try:
        if decision is not None:
            verdict = asyncio.run(verify_decision(settings, decision))
        else:
            with Progress().bar("Reading the ledger") as share:
                work = verify_ledger(
                    settings, lambda read, of: share(read / max(of, 1), f"{read:,} of {of:,}")
                )
                verdict = asyncio.run(work)
    except LaunchError as error:
        raise failed(str(error)) from None
    for line in verdict.lines:
        say(line, fg=None if verdict.sound else "red")
    if not verdict.sound:
        raise typer.Exit(NOT_SOUND)


@app.command()
def verify(
    certificate: Annotated[
        Path, typer.Argument(help="A certificate of a rollout's step, or a list of them, as JSON.")
    ],
    archive: Annotated[
        str | None,
        typer.Option(help="The archive's folder, or the URL of its ClickHouse; else the own one."),
    ] = None,
) -> None:
    """Recompute a rollout's certificate from the ledger, without a server: exit code 4 if wrong."""
    from launch.verify_command import (  # noqa: PLC0415 - opens the column store
        verify as verify_certificates,
    )

    try:
        verdict = asyncio.run(verify_certificates(read_settings(), certificate, archive))
    except LaunchError as error:
        raise failed(str(error)) from None
    for line in verdict.lines:
        say(line, fg=None if verdict.sound else "red")
    if not verdict.sound:
        raise typer.Exit(NOT_SOUND)


@app.command()
def version() -> None:
    """Print this release's number."""
    from deployments.runtime.version import VERSION  # noqa: PLC0415 - asks the installed package

    typer.echo(VERSION)


@keys.command("create")
def create_key(
    role: Annotated[Role, typer.Option(help="The key's role: what it may do.")],
    note: Annotated[
        str, typer.Option(help="A note of who uses the key; `key list` prints it.")
    ] = "",
) -> None:
    """Make a key and print it; it is shown this once and kept only as a hash."""
    from launch.key_command import create  # noqa: PLC0415 - opens Redis

    typer.echo(_with_redis(create(read_settings(), role, note, datetime.now(UTC))))


@keys.command("list")
def list_keys() -> None:
    """List the keys that were made, without their secrets."""
    from launch.key_command import listed  # noqa: PLC0415 - opens Redis

    typer.echo(_with_redis(listed(read_settings())))


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `key list` prints it.")],
) -> None:
    """Revoke a key; every gateway refuses it within a second."""
    from launch.key_command import revoke  # noqa: PLC0415 - opens Redis

    typer.echo(_with_redis(revoke(read_settings(), key_id)))


@archive.command("show")
def show_archive() -> None:
    """Say on which node the archive of decisions lies, and in which folder."""
    from launch.archive_command import show  # noqa: PLC0415 - opens Redis

    typer.echo(_with_redis(show(read_settings())))


@archive.command("abandon")
def abandon_archive() -> None:
    """Give up an archive that will not come back; the next start begins a new one."""
    from launch.archive_command import give_up  # noqa: PLC0415 - opens Redis

    typer.echo(_with_redis(give_up(read_settings())))


def _with_redis(work: object) -> str:
    try:
        return asyncio.run(work)  # type: ignore[arg-type] # each of them is a coroutine of text
    except LaunchError as error:
        raise failed(str(error)) from None


if __name__ == "__main__":
    app()
