"""Builds states from what Redis holds of them, aside: nothing is in memory before all was read."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from deployments.runtime.state.entries import Saved
from deployments.runtime.state.handler import State, StateHandler

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A key whose snapshot or log this release cannot read."""

    number: int
    """Of its latest entry."""
    mark: str
    """The same entry's."""
    why: Exception


def build(
    handler: StateHandler[State], found: Mapping[str, Saved]
) -> tuple[dict[str, State], dict[str, Unreadable]]:
    """Give the states that could be read, each as of its latest entry, and what could not."""
    states, unreadable = dict[str, State](), dict[str, Unreadable]()
    for key, saved in found.items():
        if saved.unread is not None:
            unreadable[key] = Unreadable(saved.number, saved.mark, saved.unread)
            continue
        try:
            begun = handler.fresh(key) if saved.state is None else handler.decode(key, saved.state)
        except Exception as why:  # noqa: BLE001 - whatever another release may have written
            unreadable[key] = Unreadable(saved.number, saved.mark, why)
        else:
            states[key] = begun
    try:
        _replay(handler, states, found)
    except Exception as why:  # noqa: BLE001 - same
        for state in states.values():
            let_go(handler, state)
        if len(states) == 1:
            (key,) = states
            saved = found[key]
            return {}, unreadable | {key: Unreadable(saved.number, saved.mark, why)}
        # One of them cannot be replayed, or several: only each by itself can tell.
        read = dict[str, State]()
        for key in states:
            alone, not_read = build(handler, {key: found[key]})
            read, unreadable = read | alone, unreadable | not_read
        return read, unreadable
    return states, unreadable


def let_go(handler: StateHandler[State], state: State) -> None:
    """Free what a state holds, also one that broke half-way."""
    try:
        handler.release(state)
    except Exception:
        log.exception("A state of kind %r could not be released", handler.kind)


def _replay(
    handler: StateHandler[State], states: Mapping[str, State], found: Mapping[str, Saved]
) -> None:
    tails = [
        (state, [event for entry in found[key].tail for event in entry.events])
        for key, state in states.items()
        if found[key].tail
    ]
    if tails:
        handler.replay(tails)
