"""What a version says of each model that answers by it: which files, and what named them."""

from typing import Annotated

from pydantic import Field

from settings.frozen import Frozen

ModelName = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$", max_length=200)
]


class PinnedModel(Frozen):
    """One model's version: it is this one, wherever its alias moves."""

    alias: str = Field(
        "champion",
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="What named it. A document that names the model by another alias pins anew.",
    )
    version: str = Field(
        max_length=60, pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$"
    )
    digest: str = Field(
        "", max_length=200, description="Of its files; filled in where it is left out."
    )
