"""What the platform knows of a family's columns, beside what a policy says."""

from pydantic import Field

from settings.frozen import Frozen


class ColumnsKnown(Frozen):
    """The columns that a family's rows have; without any, nothing is held against a policy."""

    given: tuple[str, ...] = Field((), description="What requests and features fill.")
    answered: tuple[str, ...] = Field((), description="What the model answers.")
    ordered: tuple[tuple[str, str], ...] = Field(
        (), description="Pairs of given columns of which the first is never above the second."
    )
