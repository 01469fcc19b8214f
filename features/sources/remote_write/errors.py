"""What a remote write may be refused with."""

from features.errors import FeatureError


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
