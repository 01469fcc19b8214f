"""`ballast config deploy` to `rollback`: versions come into force, and go out of it."""

import math
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from launch.command import failed, say
from launch.config.options import KeyFile, Reason, Version, completed, fetch

# Each of them opens a client, whose modules take a moment: `ballast version` needs none of them.


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
    found = fetch("POST", "/config/deploy", body, key_file)
    for line in picture(found):
        say(line)
    if found["rollout"] is None:
        say(completed())
    else:
        for line in _needs(found["rollout"]):
            say(line)
        say("`ballast config watch` follows it, `ballast config abort` ends it.")


def advance(key_file: KeyFile = None) -> None:
    """Go on to the next step of the rollout; where evidence is needed, on a good verdict only."""
    from launch.config.picture import picture  # noqa: PLC0415 - see above

    rollout = fetch("GET", "/config/rollout", key_file=key_file)["rollout"]
    if rollout is None:
        raise failed("No rollout goes on.")
    body = {"id": rollout["id"], "step": rollout["step"]}
    for line in picture(fetch("POST", "/config/rollout/advance", body, key_file)):
        say(line)


def abort(reason: Reason = "an operator ended it", key_file: KeyFile = None) -> None:
    """End the rollout that goes on: every key goes back to the active version at once."""
    from launch.config.picture import picture  # noqa: PLC0415 - see above

    for line in picture(fetch("POST", "/config/rollout/abort", {"reason": reason}, key_file)):
        say(line)


def rollback(
    version: Annotated[
        int | None, typer.Argument(help="Where to; the version before if left out.")
    ] = None,
    after: Annotated[
        int | None,
        typer.Option(
            "--after", help="The active version that you saw: where another is by now, it stays."
        ),
    ] = None,
    reason: Reason = "an operator went back",
    key_file: KeyFile = None,
) -> None:
    """Go back to a version that was active, at once; nothing is checked on the way."""
    seen = fetch("GET", "/config/rollout", key_file=key_file)
    going_on = "" if seen["rollout"] is None else seen["rollout"]["id"]
    left = seen["active"] if after is None else after
    body: dict[str, Any] = {"reason": reason, "after": left, "rollout": going_on}
    body |= {} if version is None else {"version": version}
    found = fetch("POST", "/config/rollback", body, key_file)
    say(f"Version {found['active']} is in force.")
    say(completed())


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise failed(f"{text!r} is no list of shares: give one such as 0.01,0.1,1.") from None


def _needs(rollout: dict[str, Any]) -> Iterator[str]:
    """Say how many keys a canary takes at least: with fewer it ends without a verdict."""
    from models.evidence.margins import fewest_keys  # noqa: PLC0415 - see above

    settings, judged = rollout["settings"], [each for each in rollout["shares"] if each < 1]
    margins = [each["absolute"] for each in settings["margins"] if each["absolute"]]
    if rollout["strategy"] != "canary" or not settings["evidence"] or not judged or not margins:
        return
    # Each step has its part of alpha, and the last one speaks for all keys.
    needed = math.log(len(judged) / settings["alpha"])
    keys = math.ceil(fewest_keys(min(margins), needed) / judged[-1])
    yield (
        f"It takes about {keys:,} keys (entities, or states) that are asked of in the step with "
        f"{100 * judged[-1]:g} %, for a margin of {100 * min(margins):g} points: with fewer it is "
        "never good, and ends by its deadline. Deploy it as a shadow then, or state wider margins."
    )
