"""`ballast safety check`: prove that a policy holds together, or show by examples where not."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launch.command import failed, read_settings, say
from launch.sources.steps import run

if TYPE_CHECKING:
    from safety.policy import SafetyPolicy
    from safety.proofs.findings import Finding, Report

# As of `ballast audit`: 1 says that no verdict was reached.
NOT_SOUND = 4
ACTIVE, SHIPPED = "active", "shipped"
_COLOURS = {"refused": "red", "warned": "yellow", "noted": "blue"}


def check(
    file: Annotated[
        str,
        typer.Argument(
            help="A policy as JSON, or a whole configuration; `active` for the one in force, "
            "`shipped` for the one that comes with this release."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="Also list what the policy lets leave that this one holds back: a file, "
            "`active` or `shipped`.",
        ),
    ] = None,
) -> None:
    """Check a policy before it is active, over all inputs: exit code 4 where it may not be."""
    # The prover is imported here and nowhere else: `ballast version` and replicas stay quick.
    from deployments.api.shipped import known_columns  # noqa: PLC0415 - see above
    from launch.progress import Progress  # noqa: PLC0415 - rich takes a moment
    from safety.proofs.check import check_policy  # noqa: PLC0415 - see above

    written = _read(file)
    compared = None if against is None else _policy(against)
    with Progress().wait(f"Proving {file} for all inputs"):
        report = check_policy(written, known_columns(), compared)
    for finding in report.findings:
        _show(finding)
    say(_verdict(file, report), fg=None if report.passes else "red", bold=True)
    if not report.passes:
        raise typer.Exit(NOT_SOUND)


def _read(named: str) -> Any:
    if named == SHIPPED:
        from safety.shipped import default_policy  # noqa: PLC0415 - see above

        return default_policy().model_dump(mode="json")
    if named == ACTIVE:
        return run(_active())
    try:
        return json.loads(Path(named).read_bytes())
    except OSError as error:
        raise failed(f"{named} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise failed(f"{named} is no JSON: {error}.") from None


async def _active() -> Any:
    from launch.platform_client import fetch, platform_client  # noqa: PLC0415 - see above

    async with platform_client(read_settings()) as client:
        return (await fetch(client, "GET", "/safety/policy"))["policy"]


def _policy(named: str) -> "SafetyPolicy":
    """Read the policy that is compared with, which must be one."""
    from safety.policy import SafetyPolicy  # noqa: PLC0415 - see above
    from safety.proofs.reading import policy_in  # noqa: PLC0415 - see above

    try:
        return SafetyPolicy.model_validate(policy_in(_read(named)))
    except ValueError as error:
        raise failed(f"{named} is no policy to compare with: {error}") from None


def _show(finding: "Finding") -> None:
    where = " ".join(part for part in (finding.family, finding.rule) if part)
    say(f"{finding.grade}: {finding.kind} in {where}", fg=_COLOURS[finding.grade])
    say(f"    {finding.message}")
    if finding.example:
        say(f"    example: {json.dumps(finding.example)}")


def _verdict(file: str, report: "Report") -> str:
    told = _counted(len(report.findings), "finding") if report.findings else "nothing found"
    asked = f"{_counted(report.questions, 'question')} in {report.seconds:.1f} s"
    families = _counted(len(report.families), "family", "families")
    verdict = "passes" if report.passes else "may not be active"
    return f"{file} {verdict}: {told}, {families}, {asked}."


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
