"""Drafts what was edited, and shows what a version changes before anybody approves it."""

import sys
from typing import Any

import typer
from httpx import AsyncClient

from config_store.changes.difference import differences
from launch.command import printable, say
from launch.config.editing import EditedFile, read, section_of, with_section, written
from launch.config.text import answered_differences, difference_lines
from launch.errors import LaunchError
from launch.platform_client import fetch


async def edited(
    client: AsyncClient, section: str, message: str, *, as_json: bool, yes: bool
) -> list[str]:
    """Have the active configuration edited and drafted; gives what to say."""
    active = await fetch(client, "GET", "/config")
    before = section_of(active["document"], section)
    file = EditedFile(_text(active, section, before, as_json=as_json), as_json=as_json)
    while True:
        try:
            after = read(file.edit(), as_json=as_json)
            lines = list(difference_lines(differences(before, after)))
            if not lines:
                file.remove()
                return ["Nothing was changed."]
            for line in lines:
                say(line)
            if not _wanted(yes=yes):
                return [f"Nothing was drafted; {file.path} has what you wrote."]
            document = with_section(active["document"], section, after)
            drafted = await _draft(client, active["version"], document, _message(message))
        except LaunchError as error:
            _again(error, file)
            continue
        file.remove()
        number = drafted["version"]
        return [
            f"Version {number} is drafted on top of {active['version']}.",
            f"`ballast config validate {number}` checks it.",
        ]


async def compared(client: AsyncClient, since: int, until: int | None) -> list[str]:
    """List what differs between two versions."""
    if until is None:
        until = (await fetch(client, "GET", "/config"))["version"]
    return await _differ(client, since, until, whole=False)


async def _differ(client: AsyncClient, since: int, until: int, *, whole: bool) -> list[str]:
    found = await fetch(client, "GET", f"/config/diff?from={since}&to={until}")
    lines = list(difference_lines(answered_differences(found["differences"]), whole=whole))
    return lines or [f"Versions {since} and {until} say the same."]


async def read_for_approval(client: AsyncClient, number: int) -> tuple[str, list[str]]:
    """Give a version's hash, and all that would change with it.

    It is held against what is in force, not against its parent: that may be a draft by the same
    author which nobody has approved, and comes into force with it.
    """
    version = await fetch(client, "GET", f"/config/versions/{number}")
    active = (await fetch(client, "GET", "/config"))["version"]
    life = version["life"]
    lines = [
        f"Version {number} by {version['author']}: {version['reason']}",
        f"hash {version['config_hash']}",
    ]
    parent = None if life is None else life["parent"]
    if parent not in {None, active}:
        lines.append(f"It was written on top of version {parent}, which is not in force.")
    lines.append(f"Of version {active}, which is in force, it changes:")
    lines += await _differ(client, active, number, whole=True)
    if (models := version["release"]["models"]) is not None:
        lines.append("It pins these models:")
        lines += [
            f"  {name} {each['version']} ({each['digest'][:12]})" for name, each in models.items()
        ]
    return version["config_hash"], lines


async def _draft(client: AsyncClient, parent: int, document: Any, message: str) -> Any:
    body = {"document": document, "message": message, "parent": parent}
    return await fetch(client, "POST", "/config/versions", body)


def _text(active: dict[str, Any], section: str, before: Any, *, as_json: bool) -> str:
    what = f"section {section}" if section else "all of it"
    about = (
        f"Configuration version {active['version']}, {what}.\n"
        "Save and close to see what changed; nothing is drafted before you say so."
    )
    return written(before, about, as_json=as_json)


def _message(given: str) -> str:
    if given:
        return given
    if not sys.stdin.isatty():
        raise LaunchError("Say what the change is for, with --message.")
    asked: str = typer.prompt("What is the change for")
    return asked


def _wanted(*, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise LaunchError("Nothing was drafted: give --yes, or run it where it can ask you.")
    return typer.confirm("Draft this?")


def _again(error: LaunchError, file: EditedFile) -> None:
    """Offer to go on where the mistake is; without a terminal, or by a no, that is the end."""
    kept = f"{error} What you wrote is in {file.path}."
    if not sys.stdin.isatty():
        raise LaunchError(kept)
    typer.secho(printable(str(error)), fg="red", err=True)
    if not typer.confirm("Edit it again?", default=True):
        raise LaunchError(kept)
