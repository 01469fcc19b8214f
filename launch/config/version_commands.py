"""`ballast config edit` to `rebase`: a version before it comes into force."""

from typing import Annotated

import typer

from launch.command import confirm, failed, say
from launch.config.options import KeyFile, Reason, Version, Yes, fetch
from launch.in_commands import in_commands

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def edit(
    section: Annotated[
        str, typer.Argument(help="A section such as serving.tail; the whole where left out.")
    ] = "",
    message: Annotated[str, typer.Option("--message", "-m", help="What the change is for.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Edit JSON in place of YAML.")] = False,
    yes: Yes = False,
    key_file: KeyFile = None,
) -> None:
    """Open the active configuration in $EDITOR, show what changed, and draft it."""
    from launch.config import drafting  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    for line in ask(
        lambda client: drafting.edited(client, section, message, as_json=as_json, yes=yes), key_file
    ):
        say(line)


def diff(
    since: Annotated[int, typer.Argument(help="The version before.")],
    until: Annotated[
        int | None, typer.Argument(help="The version after; the active one if left out.")
    ] = None,
) -> None:
    """Show what differs between two versions, a line for each place."""
    from launch.config.drafting import compared  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    for line in ask(lambda client: compared(client, since, until)):
        say(line)


def validate(version: Version, key_file: KeyFile = None) -> None:
    """Check a version as the replicas would go by it; exit code 1 where it is not good."""
    from launch.config.checking import validated  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.config.text import fault_lines, finding_lines  # noqa: PLC0415 - see above

    found = ask(lambda client: validated(client, version), key_file)
    if not found["good"]:
        lines = [f"Version {version} cannot come into force:", *fault_lines(found["faults"])]
        raise failed("\n".join(lines))
    if found["findings"]:
        say("In its safety policy this was found, and has to be acknowledged:")
        for line in finding_lines(found["findings"]):
            say(line)
    say(f"Version {version} is good. {in_commands(found['life']['next'])}.")


def impact(
    version: Version,
    hours: Annotated[
        float, typer.Option("--hours", help="How much of the past is replayed, up to now.")
    ] = 24.0,
    rows: Annotated[
        int, typer.Option("--rows", help="Where there are more, a sample of so many is drawn.")
    ] = 20_000,
    last: Annotated[
        bool, typer.Option("--last", help="Show what the last replay found, and make none.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="End the replay that goes on, with what it found.")
    ] = False,
    key_file: KeyFile = None,
) -> None:
    """Replay recorded decisions under a version: which answers change, and by how much."""
    from launch.config.impact import impact_lines, replayed  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    if last or cancel:
        method = "DELETE" if cancel else "GET"
        found = fetch(method, f"/config/versions/{version}/impact", key_file=key_file)
    else:
        found = ask(lambda client: replayed(client, version, hours, rows), key_file)
    if found["state"] == "failed":
        raise failed(f"The replay under version {version} failed: {found['reason']}")
    for line in impact_lines(found):
        say(line)


def approve(
    version: Version,
    acknowledge: Annotated[
        list[str] | None,
        typer.Option(
            "--acknowledge",
            help="With --yes: a finding in its safety policy, by its name; again for each.",
        ),
    ] = None,
    yes: Yes = False,
    key_file: KeyFile = None,
) -> None:
    """Show what a version changes, and approve it: with the key of another than its author.

    What was found in its safety policy is shown too, and is acknowledged by who says yes to it;
    --yes alone acknowledges nothing.
    """
    from launch.config.drafting import read_for_approval  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    read = ask(lambda client: read_for_approval(client, version), key_file)
    for line in read.lines:
        say(line)
    with_them = ", with what was found in its safety policy" if read.findings else ""
    confirm(f"Approve version {version}{with_them}?", yes=yes)
    acknowledged = list(acknowledge or ()) if yes else list(read.findings)
    body = {"config_hash": read.config_hash, "acknowledged": acknowledged}
    found = fetch("POST", f"/config/versions/{version}/approve", body, key_file)
    say(f"Version {version} is approved. {in_commands(found['life']['next'])}.")


def withdraw(
    versions: Annotated[
        list[int], typer.Argument(metavar="VERSION...", help="Their numbers, one or more.")
    ],
    reason: Reason = "",
    key_file: KeyFile = None,
) -> None:
    """Give versions up that were never deployed: there may be only so many of them.

    Their documents are not kept; who wrote them, when and what for stays in the history.
    """
    for each in versions:
        fetch("POST", f"/config/versions/{each}/withdraw", {"reason": reason}, key_file)
        say(f"Version {each} is withdrawn.")


def rebase(
    version: Annotated[int, typer.Argument(help="The draft that was overtaken, by its number.")],
    key_file: KeyFile = None,
) -> None:
    """Draft what a version changes anew, on top of the version that is active by now.

    It is a new version: nobody has checked it, and approvals of the one before do not count.
    """
    from launch.config.drafting import rebased  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    for line in ask(lambda client: rebased(client, version), key_file):
        say(line)
