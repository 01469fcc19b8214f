"""`ballast config`: edit, check, approve, deploy, follow and take back versions."""

import typer

from launch.config.evidence_commands import certificate, watch
from launch.config.guard_commands import approvals, freeze, lock, unfreeze, unlock
from launch.config.rollout_commands import abort, advance, deploy, rollback
from launch.config.state_commands import at_time, drift, history, repair, status
from launch.config.version_commands import (
    approve,
    diff,
    edit,
    impact,
    rebase,
    validate,
    withdraw,
)

config = typer.Typer(
    help="Edit, check, deploy and roll back the configuration.", no_args_is_help=True
)

# In the order in which their help lists them.
config.command()(edit)
config.command()(diff)
config.command()(validate)
config.command()(impact)
config.command()(approve)
config.command()(withdraw)
config.command()(deploy)
config.command()(watch)
config.command()(certificate)
config.command()(rebase)
config.command()(advance)
config.command()(abort)
config.command()(rollback)
config.command()(status)
config.command("at")(at_time)
config.command()(history)
config.command()(drift)
config.command()(repair)
config.command()(lock)
config.command()(unlock)
config.command()(freeze)
config.command()(unfreeze)
config.command()(approvals)
