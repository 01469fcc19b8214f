"""Stages as plain objects: made and ended by a test where Serve would have done it."""

from typing import Any


def unstarted(stage: type[Any]) -> Any:
    """Give an object of the class whose constructor has not run."""
    # The interpreter would call the destructor too, and nobody would await it.
    return object.__new__(type(stage.__name__, (stage,), {"__del__": lambda _: None}))


async def end(replica: Any) -> None:
    """Run the destructor, which Serve awaits."""
    deployed: Any = type(replica).__mro__[1]
    await deployed.__del__(replica)
