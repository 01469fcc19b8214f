"""Why the platform cannot start or stop, each in a sentence that says what to do."""


class LaunchError(Exception):
    """The root: the command line shows its message and nothing else."""


class AlreadyRunningError(LaunchError):
    def __init__(self, pid: int, url: str) -> None:
        super().__init__(
            f"Ballast runs already (process {pid}, {url}). "
            "Use it, or end it first with `ballast down`."
        )


class PortTakenError(LaunchError):
    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. "
            f"End that program, or choose another port with {setting}."
        )


class DiskFullError(LaunchError):
    def __init__(self, path: str, free_mb: int, needed_mb: int) -> None:
        super().__init__(
            f"Only {free_mb} MB are free at {path}, and {needed_mb} MB are needed. "
            "Make room, or put the data elsewhere with BALLAST_HOME."
        )


class MissingBinaryError(LaunchError):
    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"The program {name} is missing. {remedy}")


class ForeignFolderError(LaunchError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"The folder {path} belongs to somebody else, so nothing private may go there. "
            "Remove it, or choose a shorter BALLAST_HOME."
        )


class PartDiedError(LaunchError):
    def __init__(self, part: str, log: str) -> None:
        super().__init__(f"{part} ended while starting. Its log says why: {log}")


class NotReadyError(LaunchError):
    def __init__(self, seconds: float, state: str, logs: str) -> None:
        super().__init__(
            f"The platform was not ready after {seconds:.0f} s ({state}). The logs are in {logs}."
        )
