"""The names that settings have in the environment, and what is said of those that are wrong."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from pydantic import ValidationError

from settings.aliases import ALIASES
from settings.environment import Settings

# What the launcher tells its own processes.
NOT_FOR_USERS = frozenset({"BALLAST_RUN", "BALLAST_ZYGOTE", "BALLAST_FRONT", "BALLAST_NODES_COME"})


def variable(name: str) -> str:
    """Tell the environment variable that a setting is read from."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"BALLAST_{name.upper()}"


# What the documents' examples give to a client's commands; the platform reads neither.
FOR_CLIENTS = frozenset({"BALLAST_URL", "BALLAST_KEY"})

VARIABLES = {variable(name): name for name in Settings.model_fields}


def refusals(error: ValidationError, environment: Mapping[str, str] = os.environ) -> list[str]:
    """Say of each refused variable what it was and why; what may hold a password is left out."""
    lines = []
    for detail in error.errors():
        # Pydantic names a field by its alias where it has one, and by its own name elsewhere.
        given = str(detail["loc"][0])
        name = VARIABLES.get(given, given)
        shown = f" is {detail['input']!r}" if Settings.model_fields[name].repr else ""
        why = detail["msg"].removeprefix("Value error, ")
        source = _read_from(variable(name), environment)
        lines.append(f"{source}{shown}: {why}. See docs/settings.md.")
    return lines


def _read_from(ours: str, environment: Mapping[str, str]) -> str:
    """Name the variable that gave the value: ours, or the older name that was taken for it."""
    for alias in ALIASES:
        if alias.ours == ours and alias.is_taken(environment):
            return " and ".join(alias.given(environment))
    return ours


def unread(environment: Iterable[str]) -> list[str]:
    """Say of each variable that looks like a setting and is none what may have been meant."""
    prefix = str(Settings.model_config["env_prefix"])
    known = VARIABLES.keys() | NOT_FOR_USERS | FOR_CLIENTS
    lines = []
    for given in sorted(environment):
        if not given.startswith(prefix) or given in known:
            continue
        bare = given.removeprefix(prefix)
        near = [bare] if bare in VARIABLES else get_close_matches(given, VARIABLES, n=1)
        meant = f"did you mean {near[0]}?" if near else "docs/settings.md lists all settings."
        lines.append(f"{given} is not a setting and has no effect: {meant}")
    return lines
