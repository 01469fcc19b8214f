"""What the platform says, as it is said at the command line: the next step by its command.

The platform names it by its endpoint, for whoever asks it over HTTP. There is one table for both,
so that no sentence has to be written twice.
"""

import re

_COMMANDS = (
    (r"POST /config/deploy with version (\d+)", r"ballast config deploy \1"),
    (r"POST /config/versions/(\d+)/(validate|approve|impact|rebase)\b", r"ballast config \2 \1"),
    (r"POST /config/rollback\b", "ballast config rollback"),
    (r"GET /config/rollout\b(?!/)", "ballast config watch --once"),
    (r"GET /config/versions\b(?!/)", "ballast config history"),
    (r"GET /config/steering\b", "ballast config status"),
    (r"GET /config/drift\b", "ballast config drift"),
    (r"GET /sources\b(?!/)", "ballast sources list"),
    (r"GET /safety/violations\b", "ballast safety violations"),
)


def in_commands(sentence: str) -> str:
    """Name what a person does next by the command, in place of the endpoint."""
    for endpoint, command in _COMMANDS:
        sentence = re.sub(endpoint, f"`{command}`", sentence)
    return sentence
