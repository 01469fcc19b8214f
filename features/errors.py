"""Everything this room can refuse, in one tree."""


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


class SourceRefusedError(FeatureError):
    """The source answered that it will not: the mapping, the key or the address is wrong."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"The source {source!r} refused: {reason}")
        self.reason = reason


class TooMuchAskedError(SourceRefusedError):
    """The answer is larger, or takes longer, than the source or we allow; less may be asked."""
