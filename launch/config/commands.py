"""`ballast config`: edit, check, approve, deploy, follow and take back versions."""

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from launch.command import failed, read_settings, say
from launch.config.evidence_commands import certificate, watch

config = typer.Typer(
    help="Edit, check, deploy and roll back the configuration.", no_args_is_help=True
)

Version = Annotated[int, typer.Argument(help="The version's number, as `config history` lists it.")]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="A file with your own key, in place of this machine's."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stays on the timeline.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


@config.command()
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


@config.command()
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


@config.command()
def validate(version: Version, key_file: KeyFile = None) -> None:
    """Check a version as the replicas would go by it; exit code 1 where it is not good."""
    from launch.config.text import fault_lines  # noqa: PLC0415 - see above

    found = _fetch("POST", f"/config/versions/{version}/validate", key_file=key_file)
    if not found["good"]:
        lines = [f"Version {version} cannot come into force:", *fault_lines(found["faults"])]
        raise failed("\n".join(lines))
    say(f"Version {version} is good. {found['life']['next']}.")


@config.command()
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
        found = _fetch(method, f"/config/versions/{version}/impact", key_file=key_file)
    else:
        found = ask(lambda client: replayed(client, version, hours, rows), key_file)
    if found["state"] == "failed":
        raise failed(f"The replay under version {version} failed: {found['reason']}")
    for line in impact_lines(found):
        say(line)


@config.command()
def approve(version: Version, yes: Yes = False, key_file: KeyFile = None) -> None:
    """Show what a version changes, and approve it: with the key of another than its author."""
    from launch.config.drafting import read_for_approval  # noqa: PLC0415 - see above
    from launch.config.requests import ask  # noqa: PLC0415 - see above

    content, lines = ask(lambda client: read_for_approval(client, version), key_file)
    for line in lines:
        say(line)
    _confirm(f"Approve version {version}?", yes=yes)
    body = {"config_hash": content}
    found = _fetch("POST", f"/config/versions/{version}/approve", body, key_file)
    say(f"Version {version} is approved. {found['life']['next']}.")


@config.command()
def deploy(
    version: Version,
    strategy: Annotated[
        str, typer.Option("--strategy", help="blue_green, canary, rolling or shadow.")
    ] = "blue_green",
    shares: Annotated[
        str, typer.Option("--shares", help="Of the keys, a step each, such as 0.01,0.1,1.")
    ] = "",
    reason: Reason = "",
    despite_branch: Annotated[
        bool,
        typer.Option(
            "--despite-branch", help="Deploy it though it lacks what the active version changed."
        ),
    ] = False,
    key_file: KeyFile = None,
) -> None:
    """Bring an approved version into force: at once, or step by step."""
    from launch.config.picture import picture  # noqa: PLC0415 - see above

    body: dict[str, Any] = {"version": version, "strategy": strategy, "reason": reason}
    body["despite_branch"] = despite_branch
    if shares:
        body["shares"] = _numbers(shares)
    found = _fetch("POST", "/config/deploy", body, key_file)
    for line in picture(found):
        say(line)
    if found["rollout"] is None:
        say(_completed())
    else:
        say("`ballast config watch` follows it, `ballast config abort` ends it.")


config.command()(watch)
config.command()(certificate)


@config.command()
def advance(key_file: KeyFile = None) -> None:
    """Go on to the next step of the rollout; where evidence is needed, on a good verdict only."""
    from launch.config.picture import picture  # noqa: PLC0415 - see above

    rollout = _fetch("GET", "/config/rollout", key_file=key_file)["rollout"]
    if rollout is None:
        raise failed("No rollout goes on.")
    body = {"id": rollout["id"], "step": rollout["step"]}
    for line in picture(_fetch("POST", "/config/rollout/advance", body, key_file)):
        say(line)


@config.command()
def abort(reason: Reason = "an operator ended it", key_file: KeyFile = None) -> None:
    """End the rollout that goes on: every key goes back to the active version at once."""
    from launch.config.picture import picture  # noqa: PLC0415 - see above

    for line in picture(_fetch("POST", "/config/rollout/abort", {"reason": reason}, key_file)):
        say(line)


@config.command()
def rollback(
    version: Annotated[
        int | None, typer.Argument(help="Where to; the version before if left out.")
    ] = None,
    reason: Reason = "an operator went back",
    key_file: KeyFile = None,
) -> None:
    """Go back to a version that was active, at once; nothing is checked on the way."""
    body: dict[str, Any] = {"reason": reason} | ({} if version is None else {"version": version})
    found = _fetch("POST", "/config/rollback", body, key_file)
    say(f"Version {found['active']} is in force.")
    say(_completed())


@config.command()
def status() -> None:
    """Say which state the configuration is in and what to do; also while nothing runs."""
    from launch.config.requests import steering  # noqa: PLC0415 - see above
    from launch.config.text import steering_lines  # noqa: PLC0415 - see above
    from launch.sources.steps import run  # noqa: PLC0415 - see above

    for line in steering_lines(run(steering(read_settings(), time.time()))):
        say(line)


@config.command("at")
def at_time(
    moment: Annotated[
        str, typer.Argument(metavar="TIME", help="Such as 2026-11-20T08:00:00Z, or now.")
    ],
) -> None:
    """Say what was in force at a time, and who let it in."""
    from launch.config.text import at_lines  # noqa: PLC0415 - see above

    asked = datetime.now().astimezone().isoformat() if moment == "now" else moment
    found = _fetch("GET", f"/config/at?time={asked.replace('+', '%2B')}")
    for line in at_lines(found):
        say(line)


@config.command()
def history(
    limit: Annotated[int, typer.Option("--limit", help="So many at most.")] = 20,
) -> None:
    """List the versions, newest first: where each is in its life, who wrote and approved it."""
    from launch.config.text import version_line  # noqa: PLC0415 - see above

    for each in _fetch("GET", f"/config/versions?limit={limit}"):
        say(version_line(each))


@config.command()
def drift() -> None:
    """Show which replicas go by another version, and what was changed in Redis; exit code 1."""
    from launch.config.text import drift_lines  # noqa: PLC0415 - see above

    found = _fetch("GET", "/config/drift")
    for line in drift_lines(found):
        say(line)
    if not found["complete"] or found["findings"]:
        raise typer.Exit(1)


@config.command()
def repair(key_file: KeyFile = None) -> None:
    """Write again what was changed in Redis, and have every replica load what is active."""
    from launch.config.text import drift_lines  # noqa: PLC0415 - see above

    found = _fetch("POST", "/config/repair", key_file=key_file)
    say(f"Written again: {', '.join(found['repaired']) or 'nothing had to be'}.")
    for line in drift_lines(found):
        say(line)


@config.command()
def lock(
    reason: Reason = "editing",
    seconds: Annotated[float, typer.Option("--seconds", help="How long at most.")] = 900.0,
    key_file: KeyFile = None,
) -> None:
    """Take the lock: nobody else drafts or deploys until it is left, or its time is over."""
    found = _fetch("PUT", "/config/lock", {"reason": reason, "seconds": seconds}, key_file)
    say(f"The lock is yours until {found['lock']['until']}.")


@config.command()
def unlock(key_file: KeyFile = None) -> None:
    """Leave the lock; an admin takes another's away."""
    _fetch("DELETE", "/config/lock", key_file=key_file)
    say("Nobody has the lock.")


@config.command()
def freeze(
    until: Annotated[str, typer.Option("--until", help="Such as 2026-11-20T08:00:00Z.")],
    reason: Reason,
    since: Annotated[str, typer.Option("--from", help="When it begins; now if left out.")] = "",
    key_file: KeyFile = None,
) -> None:
    """State a time in which nothing is deployed; rolling back is possible all the same."""
    body = {"reason": reason, "to": until} | ({"from": since} if since else {})
    found = _fetch("POST", "/config/freezes", body, key_file)
    newest = found["freezes"][-1]
    say(f"The freeze {newest['id']} is stated; `ballast config unfreeze` removes it.")


@config.command()
def unfreeze(
    freeze_id: Annotated[str, typer.Argument(metavar="ID", help="As `config status` shows it.")],
    key_file: KeyFile = None,
) -> None:
    """Remove a freeze before it ends."""
    _fetch("DELETE", f"/config/freezes/{freeze_id}", key_file=key_file)
    say(f"The freeze {freeze_id} is removed.")


@config.command()
def approvals(
    needed: Annotated[int, typer.Argument(help="By so many others than the author.")],
    key_file: KeyFile = None,
) -> None:
    """Set how many approvals a version needs before it can be deployed."""
    found = _fetch("PUT", "/config/settings", {"approvals_needed": needed}, key_file)
    say(f"A version needs {found['approvals_needed']} approvals.")


def _fetch(method: str, path: str, body: Any = None, key_file: Path | None = None) -> Any:
    from launch.config.requests import ask  # noqa: PLC0415 - see above
    from launch.platform_client import fetch  # noqa: PLC0415 - see above

    return ask(lambda client: fetch(client, method, path, body), key_file)


def _completed() -> str:
    from launch.config.requests import ask, completed  # noqa: PLC0415 - see above

    return ask(completed)


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise failed(f"{text!r} is no list of shares: give one such as 0.01,0.1,1.") from None


def _confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on; without a terminal nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise failed("Nothing was changed: give --yes, or run it where it can ask you.")
    if not typer.confirm(question):
        say("Nothing was changed.")
        raise typer.Exit
