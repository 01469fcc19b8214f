"""`make dev`: first of all the process that answers is started, for it has the most to import.

This module imports next to nothing. What stays is imported beside it, on another core.
"""

import os
import secrets
from importlib import import_module

from launch import own_processes
from launch.dev.answering import Answering
from launch.private_files import keep_private

HOME = ".ballast-dev"
STAYS = "launch.dev.run"


def main() -> None:
    keep_private()
    os.environ.setdefault("BALLAST_HOME", HOME)
    # By it all that this run starts is found again, and ended.
    token = os.environ[own_processes.TOKEN] = secrets.token_hex(8)
    answering = Answering()
    # Where a setting is wrong, what has begun is ended before anybody is told.
    try:
        answering.start()
        import_module(STAYS).main(token, answering)
    finally:
        answering.stop()


if __name__ == "__main__":
    main()
