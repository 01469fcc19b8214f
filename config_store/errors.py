"""Everything this room can refuse, in one tree."""


class ConfigError(Exception):
    """The root: catch this to catch every refusal of the configuration room."""


class UnknownVersionError(ConfigError):
    def __init__(self, version: int) -> None:
        super().__init__(
            f"There is no configuration version {version}: list the versions to see which exist."
        )


class NoActiveVersionError(ConfigError):
    def __init__(self) -> None:
        super().__init__("No configuration is active yet: publish a version and activate it.")


class UnknownCertificateError(ConfigError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no certificate {name}: a rollout lists the hashes of its certificates."
        )


class CorruptVersionError(ConfigError):
    """What is stored is not what was published; a version never changes by itself."""

    def __init__(self, version: int, expected: str, found: str) -> None:
        super().__init__(
            f"Configuration version {version} was published with hash {expected[:12]}, "
            f"but the stored document has hash {found[:12]}: activate another version, "
            "and find out who changed it."
        )


class UnreadableVersionError(ConfigError):
    """The document was written by a release that knows other fields than this one."""

    def __init__(self, version: int, reason: str) -> None:
        super().__init__(
            f"Configuration version {version} cannot be used by this release: {reason}. "
            "Activate a version that can, or run the release that wrote it."
        )


class VersionAwayError(ConfigError):
    """A batch names a version that cannot be had now; it is answered by no other."""

    def __init__(self, version: int, cause: str) -> None:
        super().__init__(
            f"Configuration version {version} is not loaded: {cause}. A batch that names "
            "it is refused until it can be read from Redis."
        )


class NothingLoadedError(ConfigError):
    """A watch was asked for its value before it ever reached Redis."""

    def __init__(self, channel: str, seconds: float, cause: str) -> None:
        super().__init__(
            f"Nothing could be loaded for {channel!r} within {seconds:g} s: {cause}. "
            "Check that Redis runs and that REDIS_URL names it."
        )


class AlreadyWatchingError(ConfigError):
    def __init__(self, channel: str) -> None:
        super().__init__(
            f"The watch on {channel!r} is already running: start it once, then stop it."
        )


class NoticesLostError(ConfigError):
    """A change came without its notice: a connection that carries none any more looks just so."""

    def __init__(self, channel: str) -> None:
        super().__init__(
            f"A change was found on {channel!r} of which no notice came. The subscription is "
            "opened anew; if this comes again, somebody writes to Redis past this platform."
        )


class RefusedChangeError(ConfigError):
    """Steering does not allow this change now; the message says why, and what to do."""


class NotPermittedError(RefusedChangeError):
    """The role of who asks is too low for this change."""

    def __init__(self, command: str, needed: str, role: str) -> None:
        super().__init__(
            f"{command} needs the role {needed}, and yours is {role}: ask somebody who has it."
        )


class LostRaceError(ConfigError):
    """Others changed the state each time between the read and the write."""

    def __init__(self, tries: int) -> None:
        super().__init__(
            f"The state was changed by others {tries} times while this change was made: try again."
        )


class ChangedBehindError(ConfigError):
    """What is stored was not written by this platform's steering."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The steering state in Redis cannot be trusted: {reason}. What was known last stays "
            "in force; restore it from a process that knows it, and find out who changed it."
        )
