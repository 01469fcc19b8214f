"""Drafts what a version changes anew, on top of the version that came into force meanwhile."""

import asyncio

from config_store.changes.rebase import rebased
from config_store.errors import RefusedChangeError
from config_store.steering.changes import life_of, listed
from config_store.steering.commands import Actor
from config_store.steering.rollouts.deploys import parting
from config_store.steering.state import VersionLife
from deployments.gateway.config.changes import ConfigChanges

MOST_CHARACTERS = 500


async def rebase(changes: ConfigChanges, number: int, by: Actor) -> VersionLife:
    """Make a new draft of it, which nobody has checked or approved; the version stays as it is.

    Who wrote the version wrote some of the draft, and approves it no more than who asks for it.
    """
    state = await changes.steering.read()
    life, base = life_of(state, number), parting(state, number)
    documents = [
        (await changes.configs.get(each)).document.model_dump(mode="json")
        for each in (base, number, state.active)
    ]
    found = await asyncio.to_thread(rebased, *documents)
    if found.overlaps:
        raise RefusedChangeError(
            f"Version {number} and the active version {state.active} both changed these places "
            f"since version {base}: {listed(found.overlaps)}. Look at what each says, and draft on "
            f"top of {state.active} what is still wanted."
        )
    if found.document == documents[-1]:
        raise RefusedChangeError(
            f"The active version {state.active} says all that version {number} changed: there is "
            "nothing to draft."
        )
    document = await changes.read(found.document, state.active)
    whose = f" (version {number} by {life.author}, on top of {state.active})"
    message = f"{life.message[: MOST_CHARACTERS - len(whose)]}{whose}"
    return await changes.draft(by, message, document, state.active, made_from=number)
