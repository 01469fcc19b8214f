"""`ballast config lock` to `approvals`: what keeps versions from coming into force."""

from typing import Annotated

import typer

from launch.command import say
from launch.config.options import KeyFile, Reason, fetch

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


def lock(
    reason: Reason = "editing",
    seconds: Annotated[float, typer.Option("--seconds", help="How long at most.")] = 900.0,
    key_file: KeyFile = None,
) -> None:
    """Take the lock: nobody else drafts or deploys until it is left, or its time is over."""
    found = fetch("PUT", "/config/lock", {"reason": reason, "seconds": seconds}, key_file)
    say(f"The lock is yours until {found['lock']['until']}.")


def unlock(key_file: KeyFile = None) -> None:
    """Leave the lock; an admin takes another's away."""
    fetch("DELETE", "/config/lock", key_file=key_file)
    say("Nobody has the lock.")


def freeze(
    until: Annotated[str, typer.Option("--until", help="Such as 2026-11-20T08:00:00Z.")],
    reason: Reason,
    since: Annotated[str, typer.Option("--from", help="When it begins; now if left out.")] = "",
    key_file: KeyFile = None,
) -> None:
    """State a time in which nothing is deployed; rolling back is possible all the same."""
    body = {"reason": reason, "to": until} | ({"from": since} if since else {})
    found = fetch("POST", "/config/freezes", body, key_file)
    newest = found["freezes"][-1]
    say(f"The freeze {newest['id']} is stated; `ballast config unfreeze` removes it.")


def unfreeze(
    freeze_id: Annotated[str, typer.Argument(metavar="ID", help="As `config status` shows it.")],
    key_file: KeyFile = None,
) -> None:
    """Remove a freeze before it ends."""
    fetch("DELETE", f"/config/freezes/{freeze_id}", key_file=key_file)
    say(f"The freeze {freeze_id} is removed.")


def approvals(
    needed: Annotated[int, typer.Argument(help="By so many others than the author.")],
    key_file: KeyFile = None,
) -> None:
    """Set how many approvals a version needs before it can be deployed."""
    found = fetch("PUT", "/config/settings", {"approvals_needed": needed}, key_file)
    say(f"A version needs {found['approvals_needed']} approvals.")
