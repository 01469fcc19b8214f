"""Drafts what was edited, and shows what a version changes before anybody approves it."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import typer
from httpx import AsyncClient

from config_store.changes.difference import differences
from launch.command import printable, say
from launch.config.checking import proved
from launch.config.editing import EditedFile, read, section_of, with_section, written
from launch.config.impact import last_impact
from launch.config.text import (
    answered_differences,
    difference_lines,
    finding_lines,
    with_others,
)
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
            _refuse_unasked(message, yes=yes)
            if not (yes or typer.confirm("Draft this?")):
                return [f"Nothing was drafted; {file.path} has what you wrote."]
            document = with_section(active["document"], section, after)
            said = message or typer.prompt("What is the change for")
            drafted = await _draft(client, active["version"], document, said)
        except LaunchError as error:
            _again(error, file)
            continue
        file.remove()
        number = drafted["version"]
        return [
            f"Version {number} is drafted on top of {active['version']}.",
            f"`ballast config validate {number}` checks it.",
        ]


async def rebased(client: AsyncClient, number: int) -> list[str]:
    """Have a version that was overtaken drafted anew; gives what to say."""
    made = await fetch(client, "POST", f"/config/versions/{number}/rebase")
    new, active, others = made["version"], made["life"]["parent"], made["life"]["co_authors"]
    also = f"It is written by {', '.join(others)} too: none of its authors approves it."
    return [
        f"Version {new} is drafted on top of {active}, and changes what version {number} does:",
        *await _differ(client, active, new, whole=False),
        *([also] if others else []),
        f"`ballast config validate {new}` checks it; approvals of version {number} do not count.",
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


class Read(NamedTuple):
    """What an approver has read of a version."""

    config_hash: str
    lines: list[str]
    findings: tuple[str, ...]
    """The names of what was found in its safety policy."""


async def read_for_approval(client: AsyncClient, number: int) -> Read:
    """Give a version's hash, all that would change with it, and what was found in its policy.

    It is held against what is in force, not against its parent: that may be a draft by the same
    author which nobody has approved, and comes into force with it.
    """
    version = await fetch(client, "GET", f"/config/versions/{number}")
    active = (await fetch(client, "GET", "/config"))["version"]
    life = version["life"]
    lines = [
        f"Version {number} by {version['author']}{with_others(life)}: {version['reason']}",
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
    findings = () if life is None else tuple(life["findings"])
    if findings:
        lines.append("In its safety policy this was found, and is approved with it:")
        lines += await _found(client, version["document"], findings)
    lines += await last_impact(client, number)
    return Read(version["config_hash"], lines, findings)


async def _found(client: AsyncClient, document: Any, names: Sequence[str]) -> list[str]:
    """Show what was found, each with its example; by name alone where the check is away."""
    try:
        found = await proved(client, document["safety"])
    except LaunchError as error:
        return [*(f"  {each}" for each in names), f"  ({error})"]
    return list(finding_lines(each for each in found["findings"] if each["grade"] != "refused"))


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


def _refuse_unasked(message: str, *, yes: bool) -> None:
    """Name all that a person would be asked, where there is no terminal to ask it at."""
    needed = {"--yes": yes, "--message (what the change is for)": bool(message)}
    missing = [option for option, given in needed.items() if not given]
    if missing and not sys.stdin.isatty():
        raise LaunchError(
            f"Nothing was drafted: give {' and '.join(missing)}, or run it where it can ask you."
        )


def _again(error: LaunchError, file: EditedFile) -> None:
    """Offer to go on where the mistake is; without a terminal, or by a no, that is the end."""
    kept = f"{error} What you wrote is in {file.path}."
    if not sys.stdin.isatty():
        raise LaunchError(kept)
    typer.secho(printable(str(error)), fg="red", err=True)
    if not typer.confirm("Edit it again?", default=True):
        raise LaunchError(kept)
