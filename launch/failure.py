"""Says in one sentence why a start failed, and keeps the details in a file."""

import errno
import traceback
from datetime import UTC, datetime
from pathlib import Path

from launch.errors import (
    ArchiveMissingError,
    DiskFullError,
    LaunchError,
    NoPermissionError,
    UnexpectedError,
)
from launch.private_files import close_to_others
from observability.errors import ArchiveElsewhereError
from settings.environment import Settings

NAME = "failure.log"


def explain(error: Exception, settings: Settings) -> LaunchError:
    """Give the sentence for whatever went wrong; the traceback goes to the failure log."""
    if isinstance(error, LaunchError) and error.__cause__ is None:
        return error
    details = _keep(error, settings.paths.logs)
    match error:
        case LaunchError():
            return error
        case ArchiveElsewhereError():
            return ArchiveMissingError(str(error))
        case OSError(errno=errno.ENOSPC):
            return DiskFullError(str(error.filename or settings.home))
        case (
            PermissionError()
            | NotADirectoryError()
            | FileExistsError()
            | OSError(errno=errno.EROFS)
        ):
            return NoPermissionError(str(error.filename or settings.home))
        case _:
            return UnexpectedError(f"{type(error).__name__}: {_first_line(error)}", details)


def _keep(error: Exception, logs: Path) -> str:
    """Append the traceback; where nothing can be written, the sentence must do."""
    path = logs / NAME
    try:
        close_to_others(logs)
        with path.open("a") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n")
            traceback.print_exception(error, file=file)
    except (OSError, NoPermissionError):
        return "none, because the log could not be written"
    return str(path)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else "no reason given"
