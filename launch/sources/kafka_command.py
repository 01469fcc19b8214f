"""`ballast connect kafka`: messages of a topic, each with rows as clients post them."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from launch.command import read_settings
from launch.sources.steps import DryRun, Yes, confirm_and_connect, run, sentences


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


class Mechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


def connect_kafka(
    servers: Annotated[
        str,
        typer.Argument(
            metavar="BOOTSTRAP", help="A broker as host:port; several with commas between."
        ),
    ],
    topic: Annotated[str, typer.Argument(help="The topic to read.")],
    name: Annotated[str, typer.Option(help="A name for the source.")] = "kafka",
    format: Annotated[  # noqa: A002 - the option's name
        Format | None,
        typer.Option(help="How bodies are written; left out, it is seen by the newest messages."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="The user that the broker knows.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="A file with its password.")] = None,
    mechanism: Annotated[
        Mechanism, typer.Option(help="How the password is shown to the broker.")
    ] = Mechanism.SCRAM_SHA_512,
    tls: Annotated[bool, typer.Option("--tls", help="The port is one of TLS.")] = False,
    ca_file: Annotated[
        Path | None, typer.Option(help="The authorities that sign the brokers' certificates.")
    ] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(help="A certificate to be known by, where the broker asks.")
    ] = None,
    key_file: Annotated[Path | None, typer.Option(help="The key of that certificate.")] = None,
    cadence: Annotated[
        int, typer.Option(help="The seconds of an interval: a multiple of 15.")
    ] = 60,
    history_days: Annotated[
        int, typer.Option(help="How much of the past is read; 0: only what is to come.")
    ] = 7,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Look at the newest messages of a topic, show what they give, and connect it."""
    from launch.sources import connecting, kafka_text, kafka_topic  # noqa: PLC0415 - rich is slow

    settings = read_settings()
    if not dry_run:
        run(connecting.refuse_taken_name(settings, name))
    now = datetime.now(UTC)
    fields = {
        "servers": [each.strip() for each in servers.split(",")],
        "topic": topic,
        "format": format and format.value,
        "user": user,
        "mechanism": mechanism.value,
        "tls": tls,
        "password_file": _absolute(password_file),
        "ca_file": _absolute(ca_file),
        "certificate_file": _absolute(certificate_file),
        "key_file": _absolute(key_file),
        "cadence_seconds": cadence,
        "history_days": history_days,
    }
    with sentences():
        looked = run(kafka_topic.look_at(name, fields, now))
    kafka_text.show(looked)
    if dry_run:
        return
    confirm_and_connect(settings, name, looked.source, now, yes=yes)


def _absolute(file: Path | None) -> str | None:
    """Name a file so that another process, in another folder, finds it too."""
    return None if file is None else str(file.absolute())
