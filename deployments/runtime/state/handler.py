"""What a family with state provides, so that its states survive the death of any process."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

from typing_extensions import TypeVar  # with a default, which typing has from Python 3.13 on

from deployments.runtime.batch import Detail, Owner, Refusal

State = TypeVar("State")
# A family's handler names what it reads and writes; to all that passes them on they are JSON.
Ask = TypeVar("Ask", default=Any)
Event = TypeVar("Event", default=Any)


@dataclass(frozen=True, slots=True)
class StateRequest(Generic[Ask]):
    """One row: what it asks of its key's state, and the decision that it will be."""

    key: str
    id: str
    ask: Ask
    """What the family's `ask` made of the body."""
    owner: Owner | None = None
    """Whose the key will be if this row begins it, and how many of the kind they may create."""
    settings: Any = None
    """What the version of its batch says, as the family's stage compiled it."""


# Each with its place in the batch.
Rows = list[tuple[int, StateRequest]]


@dataclass(slots=True)
class Reply(Generic[Event]):
    """One row's answer. Without an event it left the state as it was."""

    columns: dict[str, float] = field(default_factory=dict)
    detail: Detail | None = None
    event: Event | None = None
    refusal: Refusal | None = None
    # The key is to be forgotten once this is written down.
    deletes: bool = False
    # What is to be told to those who listen, once this is written down.
    notices: list[dict[str, Any]] = field(default_factory=list)


class StateHandler(Protocol[State]):
    """Turns asks into replies and events, and events back into state.

    `answer` may change a state only by what its events tell: replaying the events of a log, in any
    grouping, on what `decode` made of a snapshot gives the same state to the bit. An event is JSON.
    """

    @property
    def kind(self) -> str:
        """Name what is kept, for the names of its logs in Redis."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of every reply; one that a reply leaves out is NaN there."""

    def fresh(self, key: str) -> State:
        """Begin a key that nobody has written to."""

    def encode(self, state: State) -> bytes: ...

    def decode(self, key: str, saved: bytes) -> State: ...

    def release(self, state: State) -> None:
        """Free what a state holds; it has left memory."""

    def size(self, state: State) -> int:
        """Estimate how many bytes a state takes in memory, rather too many than too few."""

    def give_back(self) -> None:
        """Return to the system what states that were released had; called after many left."""

    def replay(self, tails: Sequence[tuple[State, list[Any]]]) -> None:
        """Apply each state's events, oldest first."""

    def answer(self, rows: Sequence[tuple[State, StateRequest]]) -> list[Reply]:
        """Answer the rows in their order; rows of one key follow each other."""

    def removal(self, request: StateRequest) -> Reply | None:
        """Give the reply to a row that deletes its key, whatever its state; else nothing."""

    def repeat_reply(self, state: State, request: StateRequest) -> Reply:
        """Answer a row whose event is in the state already: it was sent twice, and counts once."""

    def withdraw(self, state: State, request: StateRequest) -> Any:
        """Take back what was written for a row that nobody was told of; give the event, if any.

        Only where the caller gave up meanwhile, and where it may not simply stand.
        """

    def unavailable(self, request: StateRequest) -> Refusal | None:
        """Say what a row is told while Redis is away; nothing when its fallback may answer."""
