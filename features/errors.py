"""Everything this room can refuse, in one tree."""

from collections.abc import Mapping, Sequence

# Of a text in a message.
SHOWN = 80


class FeatureError(Exception):
    """The root: catch this to catch every refusal of the feature room."""


class UnreadableFeaturesError(FeatureError):
    """What the store holds for an entity is not a feature row."""

    def __init__(self, entity: str, reason: str) -> None:
        super().__init__(
            f"The stored features of {entity!r} cannot be read: {reason}. They are "
            "written again with the next minute of telemetry."
        )


class SourceAwayError(FeatureError):
    """The place that features are computed from gave no answer."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"The feature source {source!r} did not answer: {reason}")


class KeyRefusedError(SourceAwayError):
    """Nothing is told without another key: until somebody gives one, the source is away."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.args = (f"The source {source!r} tells us nothing: {reason}",)


class SourceRefusedError(FeatureError):
    """The source answered that it will not: the mapping, the key or the address is wrong."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"The source {source!r} refused: {reason}")
        self.reason = reason


class PostRefusedError(FeatureError):
    """A body of posted telemetry that cannot be read at all; `field` names its part at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class PostTooLargeError(FeatureError):
    """A body of posted telemetry that holds more than is read of one."""


class UnreadableTelemetryError(FeatureError):
    """Packed telemetry that is damaged, or written by another release."""


class UnreadableWriteError(FeatureError):
    """The body of a remote write is not what its protocol says."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The remote write cannot be read: {reason}")


class WriteTooLargeError(FeatureError):
    """A remote write is over a bound: smaller ones will be taken."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The remote write is too large: {reason}. "
            "Set a lower max_samples_per_send in the sender's queue_config"
        )


class IntakeFullError(FeatureError):
    """So much posted telemetry waits to be stored that no more is taken."""

    def __init__(self, waiting: str, limit: str, retry_after_s: int) -> None:
        super().__init__(
            f"{waiting} of telemetry wait to be stored, and the limit is {limit}: post the same "
            f"rows again in {retry_after_s} s"
        )
        self.retry_after_s = retry_after_s


class TooMuchAskedError(SourceRefusedError):
    """The answer is larger, or takes longer, than the source or we allow; less may be asked."""


class NothingUsableError(FeatureError):
    """Telemetry was looked for, and none was found that can be mapped."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Nothing there can be used: {reason}.")


class BadExpressionError(FeatureError):
    """An expression that cannot be used; the message names the place in it."""

    def __init__(self, text: str, column: int, reason: str) -> None:
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        super().__init__(f"{shown!r}, column {column}: {reason}")


class BadDefinitionError(FeatureError):
    """A feature's definition that does not fit the others; the message names the feature."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"feature {name!r}: {reason}")
        self.name = name
        self.reason = reason


class UnknownFeaturesError(FeatureError):
    """Features were asked for that nobody defined."""

    def __init__(self, hints: Mapping[str, str]) -> None:
        words = ", ".join(f"{name!r}{hint}" for name, hint in hints.items())
        super().__init__(f"there is no feature {words}")


class NotKeptError(FeatureError):
    """Features of which no past is kept cannot be in a training set."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(names)}: what streams say of telemetry is not kept for each moment; leave "
            "it out of a training set"
        )


class BadSpineError(FeatureError):
    """The rows that a training set shall have cannot be used; `field` names what is at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class DatasetCancelledError(FeatureError):
    """Somebody cancelled the making of a training set."""

    def __init__(self) -> None:
        super().__init__("the making of the training set was cancelled")


class BadModuleError(FeatureError):
    """A module with functions for features that may not be run, or cannot be read."""

    def __init__(self, module: str, reason: str) -> None:
        super().__init__(f"the module {module!r} is not used: {reason}")


class FunctionFailedError(FeatureError):
    """A function of a feature gave no column; `is_slow` says that it was not done in time."""

    def __init__(self, function: str, reason: str, *, is_slow: bool = False) -> None:
        super().__init__(f"the function {function} {reason}")
        self.reason = reason
        self.is_slow = is_slow


def on_one_line(text: str) -> str:
    """Quote what another server said, without what could break a line of a log."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
