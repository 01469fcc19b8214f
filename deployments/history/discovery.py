"""Finds the history actor, or starts it on the node where its archive lies, and on no other.

The archive is found by its mark (observability/clickhouse/home.py), not by a node's id or address:
both change when a node starts again, and its disk does not. A server behind CLICKHOUSE_URL needs no
such care.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, ActorUnschedulableError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from deployments.history.client import HistoryDiedError, HistoryFailedError, NoClusterError
from observability.clickhouse.home import Home, elsewhere, known_home, read_mark
from observability.errors import ArchiveElsewhereError
from settings.environment import Settings
from settings.redis_connection import open_redis

NAME, NAMESPACE = "history", "ballast"
LOOK_SECONDS = 15.0


class HistoryActor:
    """The actor as its clients ask it: what Ray raises they hear in words of ours."""

    def __init__(self, actor: ActorHandle) -> None:
        self._actor = actor

    async def answer(self, question: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        try:
            return await getattr(self._actor, question).remote(*args, **named)
        except (ActorDiedError, ActorUnschedulableError) as died:
            raise HistoryDiedError from died
        except RayError as error:
            raise HistoryFailedError(type(error).__name__) from error


def history() -> ActorHandle:
    """Give the one history actor, starting it where nobody has yet. Blocks: not for an event loop.

    Raises ArchiveElsewhereError where the archive's node is away.
    """
    if _on_a_loop():
        raise RuntimeError("history() blocks: on an event loop use ask()")
    if not ray.is_initialized():  # to ask for an actor would start a cluster of one's own
        raise NoClusterError
    try:
        return ray.get_actor(NAME, NAMESPACE)
    except ValueError:
        return start_where_the_archive_is(NAME, NAMESPACE)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def start_where_the_archive_is(name: str, namespace: str) -> ActorHandle:
    """Start the actor, or take the one that somebody else just started. Blocks."""
    # The actor's own imports are large, and only who starts it needs them.
    from deployments.history.actor import History  # noqa: PLC0415 - see above

    settings = Settings()
    options: dict[str, Any] = {}
    if settings.clickhouse_url is None:
        # Not softly: on another node it would find an empty folder.
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(_node(settings), soft=False)
    actor: Any = History  # Ray's decorator makes an actor class of it, which its type does not show
    return actor.options(
        name=name, namespace=namespace, lifetime="detached", get_if_exists=True, **options
    ).remote()


def _node(settings: Settings) -> str:
    """Find the node of the archive; where there is none yet, it begins on this one."""
    here: str = ray.get_runtime_context().get_node_id()
    known = asyncio.run(_read_home(settings))
    if known is None or read_mark(settings.paths.history) == known.archive_id:
        return here
    others = [each["NodeID"] for each in ray.nodes() if each["Alive"] and each["NodeID"] != here]
    return _first_with(known, others)


def _first_with(known: Home, nodes: Iterable[str]) -> str:
    looks = {
        _mark_there.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
        ).remote(): node
        for node in nodes
    }
    waiting = list(looks)
    while waiting:
        done, waiting = ray.wait(waiting, timeout=LOOK_SECONDS)
        if not done:
            break
        if _mark_of(done[0]) == known.archive_id:
            return looks[done[0]]
    raise ArchiveElsewhereError(elsewhere(known))


def _mark_of(look: Any) -> str | None:
    try:
        mark: str | None = ray.get(look)
    except ray.exceptions.RayError:  # the node went away meanwhile
        return None
    return mark


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator] # Ray's have no types
def _mark_there() -> str | None:
    """Read the mark on the node that this runs on."""
    return read_mark(Settings().paths.history)


async def _read_home(settings: Settings) -> Home | None:
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    try:
        return await known_home(redis)
    finally:
        await redis.aclose()
