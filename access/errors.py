"""Everything this room can refuse, in one tree."""


class AccessError(Exception):
    """The root of what can go wrong with keys."""


class UnknownKeyError(AccessError):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no API key {key_id!r}: list the keys to see their ids.")


class DuplicateKeyError(AccessError):
    def __init__(self, key_id: str) -> None:
        super().__init__(f"The API key id {key_id!r} is already in use: create the key again.")
