"""How every process reaches the history actor, which alone owns the column store."""

from collections.abc import Sequence
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from features.errors import SourceAwayError
from features.rows import FeatureRow

NAME, NAMESPACE = "history", "ballast"


def history() -> ActorHandle:
    """Give the one history actor, starting it where nobody has yet."""
    try:
        return ray.get_actor(NAME, NAMESPACE)
    except ValueError:
        return _started()


def _started() -> ActorHandle:
    # The actor's own imports are large, and only who starts it needs them.
    from deployments.history_actor import History  # noqa: PLC0415 - see above

    actor: Any = History  # Ray's decorator makes an actor class of it, which its type does not show
    return actor.options(
        name=NAME, namespace=NAMESPACE, lifetime="detached", get_if_exists=True
    ).remote()


class HistorySource:
    """The history actor as a source of features."""

    async def latest(self, entities: Sequence[str]) -> dict[str, FeatureRow]:
        try:
            rows: dict[str, FeatureRow] = await history().latest.remote(list(entities))
        except RayError as error:
            raise SourceAwayError("history", type(error).__name__) from error
        return rows
