"""Where the processes of the platform write their logs: a file a role, JSON lines.

Not to the error stream: Serve takes that over in its replicas and holds lines back by the thousand.
"""

from observability.logs import set_up
from settings.environment import Settings

LARGEST_BYTES = 64 * 1024 * 1024


def write_logs(settings: Settings, role: str) -> None:
    """Append what this process logs to its role's file; lines of several processes interleave."""
    folder = settings.paths.logs
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{role}.jsonl"
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        path.replace(folder / f"{role}.old.jsonl")
    # Unbuffered appends of whole lines do not mix; the file stays open as long as the process.
    set_up(settings.log_level, path.open("a", buffering=1))
