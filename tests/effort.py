"""How often a test tries what needs many tries: fewer times in `make test` than in `make long`."""

import os

LONG = bool(os.environ.get("LONG"))


def tries(usual: int, long: int) -> int:
    return long if LONG else usual
