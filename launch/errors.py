"""Why the platform cannot start or stop, each in a sentence that says what to do."""

from collections.abc import Iterable


class LaunchError(Exception):
    """The root: the command line shows its message and nothing else."""


class AlreadyRunningError(LaunchError):
    def __init__(self, owner: str) -> None:
        super().__init__(
            f"Ballast already runs ({owner}). Use it, or end it first with `ballast down`."
        )


class PortTakenError(LaunchError):
    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(
            f"Port {port} on {host} is taken by another program. "
            f"End that program, or choose another port with {setting}."
        )


class ForeignAddressError(LaunchError):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"BALLAST_HOST {host} is not an address of this machine. Leave it out for "
            "127.0.0.1, or give one that `ip address` lists."
        )


class PortForbiddenError(LaunchError):
    def __init__(self, port: int) -> None:
        super().__init__(
            f"This user may not open port {port}. Choose one from 1024 on with BALLAST_PORT."
        )


class DiskTooSmallError(LaunchError):
    def __init__(self, path: str, free_mb: int, needed_mb: int) -> None:
        super().__init__(
            f"Only {free_mb} MB are free at {path}, and {needed_mb} MB are needed. "
            "Make room, or put the data elsewhere with BALLAST_HOME."
        )


class DiskFullError(LaunchError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"The disk is full at {path}. Make room, or put the data elsewhere with BALLAST_HOME."
        )


class NoPermissionError(LaunchError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"Nothing can be written at {path}: make it a folder of this user's own, "
            "or put the data elsewhere with BALLAST_HOME."
        )


class RedisAwayError(LaunchError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The Redis that REDIS_URL names does not answer ({reason}). Start it, "
            "correct the URL, or unset REDIS_URL to use the embedded one."
        )


class RedisSpoiltError(LaunchError):
    """Something else wrote where the first configuration belongs; the reason says what to do."""


class ClickhouseAwayError(LaunchError):
    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The ClickHouse that CLICKHOUSE_URL names cannot be used ({reason}). "
            "Start it, correct the URL, or unset CLICKHOUSE_URL to use the embedded one."
        )


class ClickhouseTakenError(LaunchError):
    """The server that is named is another platform's."""


class RedisNotSharedError(LaunchError):
    def __init__(self) -> None:
        super().__init__(
            "REDIS_URL is not set, and all nodes of a cluster share one Redis. Set it, "
            "or start Ballast on only this machine with `ballast up`."
        )


class ClusterAwayError(LaunchError):
    def __init__(self, address: str) -> None:
        where = "on this machine" if address == "auto" else f"at {address}"
        super().__init__(
            f"No Ray cluster answers {where}. Start its head with `ray start --head`, or name it "
            "with RAY_ADDRESS (host:port); `ballast up` starts one of its own."
        )


class UnexpectedError(LaunchError):
    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"Ballast could not continue ({reason}). Details: {details}")


class ArchiveMissingError(LaunchError):
    """The archive that Redis knows of is not under this home; the message says where it was."""


class ConfigFileError(LaunchError):
    def __init__(self, path: object, what: str) -> None:
        super().__init__(f"The configuration {path} {what}{'' if what.endswith('?') else '.'}")


class TooFewCpusError(LaunchError):
    def __init__(self, what: str, cpus: float, config_file: object) -> None:
        super().__init__(
            f"{what}, and this machine has {cpus:g}. "
            f"Lower num_cpus under ray_actor_options in {config_file}."
        )


class MissingBinaryError(LaunchError):
    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"The program {name} is missing. {remedy}")


class ForeignFolderError(LaunchError):
    def __init__(self, path: str) -> None:
        super().__init__(
            f"The folder {path} belongs to another user, so no private files can be "
            "written there. Remove it, or choose a shorter BALLAST_HOME."
        )


class PartDiedError(LaunchError):
    def __init__(self, part: str, log: str) -> None:
        super().__init__(f"{part} ended during its start. Its log says why: {log}")


class RedisDiedError(LaunchError):
    def __init__(self, complaint: str, log: str) -> None:
        super().__init__(
            f"The embedded Redis ended during its start ({complaint}). Its log: {log}. If "
            "its files are damaged, restore a backup of that folder, or repair a copy "
            "with redis-check-aof."
        )


class DeployFailedError(LaunchError):
    def __init__(self, config_file: object, reason: str, logs: str) -> None:
        super().__init__(
            f"Serve could not deploy {config_file}: {reason.rstrip('.')}. Each "
            f"deployment's log is in {logs}."
        )


class NotReadyError(LaunchError):
    def __init__(self, seconds: float, state: str, logs: str) -> None:
        super().__init__(
            f"The platform was not ready after {seconds:.0f} s ({state}). The logs are in {logs}."
        )


class DriverFailedError(LaunchError):
    """Carries the sentence that the driver gave."""


class GaveUpError(LaunchError):
    def __init__(self, why: str, restarts: int, minutes: float, logs: str) -> None:
        super().__init__(
            f"The Ray cluster was lost again ({why}) after {restarts} restarts in "
            f"{minutes:.0f} minutes, and Ballast has ended. The logs are in {logs}."
        )


class UnknownSourceError(LaunchError):
    def __init__(self, name: str, known: Iterable[str]) -> None:
        others = ", ".join(sorted(known))
        there = f"there are {others}" if others else "none is connected; see `ballast connect`"
        super().__init__(f"There is no source named {name}: {there}.")
