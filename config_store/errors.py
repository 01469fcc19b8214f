"""Everything this room can refuse, in one tree."""

from collections.abc import Sequence


class ConfigError(Exception):
    """The root: catch this to catch every refusal of the configuration room."""


class UnknownVersionError(ConfigError):
    def __init__(self, version: int) -> None:
        super().__init__(
            f"There is no configuration version {version}: list the versions to see which exist."
        )


class WithdrawnVersionError(ConfigError):
    """The version was given up before anything was answered by it; its document is not kept."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"Version {version} was withdrawn before it was ever deployed, and its document is not "
            "kept: draft anew what is needed of it."
        )


class NoActiveVersionError(ConfigError):
    def __init__(self) -> None:
        super().__init__(
            "No configuration is active yet: `ballast up` makes the first version, and `ballast "
            "bootstrap` on a Ray cluster that runs."
        )


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
            f"but the stored document has hash {found[:12]}: `ballast config repair` writes it "
            "again where it is known, `ballast config rollback` and `ballast config deploy` bring "
            "another one into force. Find out who changed it."
        )


class UnreadableVersionError(ConfigError):
    """The document was written by a release that knows other fields than this one."""

    def __init__(self, version: int, reason: str) -> None:
        super().__init__(
            f"Configuration version {version} cannot be used by this release: {reason}. "
            "Bring one into force that can, by `ballast config rollback` or `ballast config "
            "deploy`, or run the release that wrote it."
        )


class VersionAwayError(ConfigError):
    """A batch names a version that cannot be had now; it is answered by no other."""

    def __init__(self, version: int, cause: str) -> None:
        super().__init__(
            f"Configuration version {version} is not loaded: {cause}. A batch that names "
            "it is refused until it can be read from Redis."
        )
        self.cause = cause


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


class OvertakenError(RefusedChangeError):
    """Somebody else was quicker: what this change was to bring on has gone on, or is over."""


class TooEarlyError(RefusedChangeError):
    """The step of a rollout has not begun by the clock of Redis."""


class HeldBackError(RefusedChangeError):
    """A freeze or an emergency holds; the same change is allowed once that has ended."""


class TooManyDraftsError(RefusedChangeError):
    """There is no room for another version that is not deployed; withdrawing one makes some."""


class NotPermittedError(RefusedChangeError):
    """The role of who asks is too low for this change."""

    def __init__(self, command: str, needed: str, role: str) -> None:
        super().__init__(
            f"{command} needs the role {needed}, and yours is {role}: ask somebody who has it."
        )


class WeakenedEvidenceError(NotPermittedError):
    """A rollout would be judged by less than the settings of this platform ask for."""

    def __init__(self, weaker: Sequence[str], role: str) -> None:
        RefusedChangeError.__init__(
            self,
            f"This rollout would be judged by less than this platform's settings ask for: "
            f"{'; '.join(weaker)}. That needs the role admin, and yours is {role}: leave the "
            "settings out, or ask somebody who has it.",
        )


class LostRaceError(ConfigError):
    """Others changed the state each time between the read and the write."""

    def __init__(self, tries: int) -> None:
        super().__init__(
            f"The state was changed by others {tries} times while this change was made: try again."
        )


class UnknownOverrideError(RefusedChangeError):
    def __init__(self, override: str) -> None:
        super().__init__(
            f"There is no override {override}: it may have ended. List them to see which hold."
        )


class ChangedBehindError(ConfigError):
    """What is stored was not written by this platform's steering."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The steering state in Redis cannot be trusted: {reason}. What was known last stays "
            "in force. `ballast config repair` writes it again; find out who changed it."
        )


class StrayKeyError(ChangedBehindError):
    """Something else wrote a value of another type where this platform keeps its own."""

    def __init__(self, strays: Sequence[str], keys: Sequence[str]) -> None:
        ConfigError.__init__(
            self,
            f"{'; '.join(strays)}. What was known last stays in force. `ballast config repair` "
            "removes what is not this platform's, and writes again what it knows; where no "
            f"platform runs, `redis-cli DEL {' '.join(keys)}` removes it. Find out who wrote it.",
        )


class LostStateError(ConfigError):
    """The steering state is spoilt, and what it was is known to nobody here."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason} Neither this process nor the copy in Redis knows what it was: `ballast "
            "config repair --rebuild`, with an admin's key, makes a state of the documents and the "
            "journal. What is in force stays; approvals, checks of drafts, freezes, the lock and "
            "the settings are lost."
        )
