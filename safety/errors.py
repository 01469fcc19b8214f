"""Everything this room can refuse, in one tree."""


class SafetyError(Exception):
    """The root: catch this to catch every refusal of the safety room."""


class UnknownFamilyError(SafetyError):
    """The policy says nothing about this family, so none of its answers can be judged."""

    def __init__(self, family: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"The safety policy has no family {family!r}, only {', '.join(known) or 'none'}: "
            "add it to the policy before serving it."
        )


class BatchShapeError(SafetyError):
    """The columns of a batch do not have one value a row."""


class ImpossibleOverrideError(SafetyError):
    """A value that a field cannot have, whatever the policy says of it."""

    def __init__(self, at: str, why: str) -> None:
        super().__init__(why)
        self.at = at  # the part of the override that is at fault
