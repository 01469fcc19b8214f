"""A key's tag: eight hex digits by which its decisions find back to the replica that holds it.

A feedback names a decision and no experiment. So the ids of keyed families end in the tag of their
key, in place of as many random digits (30 random bits remain, and nobody may ask without a key of
the API); and keys are laid on replicas by their tags alone.
"""

from hashlib import blake2s

_DIGITS = 8
# Marks a key of which only the tag is known.
BARE = "#"


def tag(key: str) -> str:
    if key.startswith(BARE):
        return key[len(BARE) :]
    return blake2s(key.encode(), digest_size=_DIGITS // 2).hexdigest()


def tagged(decision_id: str, key: str) -> str:
    """Give the id that leads back to the key."""
    return decision_id[:-_DIGITS] + tag(key)


def key_by_tag(decision_id: str) -> str:
    """Give what stands for the key, for those who only have a decision of it."""
    return BARE + decision_id[-_DIGITS:]
