"""`ballast safety`: the policy of answers, and what goes by it."""

import typer

from launch.safety.check_command import check

safety = typer.Typer(help="Check a safety policy before it is active.", no_args_is_help=True)

safety.command("check")(check)
