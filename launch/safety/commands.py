"""`ballast safety`: the policy of answers, and what goes by it."""

import typer

from launch.safety.check_command import check
from launch.safety.steer_commands import emergency, override, overrides, status, violations

safety = typer.Typer(
    help="Check a safety policy before it is active, and steer what goes by it.",
    no_args_is_help=True,
)

safety.command("check")(check)
for command in (status, emergency, override, overrides, violations):
    safety.command(command.__name__)(command)
