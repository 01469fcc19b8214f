"""What the clients of a campaign sent and received, and what they should never have received."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

SHOWN_CHARACTERS = 300
FAILURES = HTTPStatus.INTERNAL_SERVER_ERROR


class Wrong(StrEnum):
    """An answer that a valid request must not get."""

    ERROR = "5xx without Retry-After"
    UNAUTHORIZED = "wrong 401"
    NOT_FOUND = "wrong 404"
    REFUSED = "other refusals of valid requests"
    PLAIN = "bodies that are not JSON"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as far as a client is bound by it."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Noted:
    """One wrong answer."""

    at: float
    wrong: Wrong
    endpoint: str
    status: int
    text: str


@dataclass(slots=True)
class Counted:
    """How often something was acknowledged, and how often nobody knows."""

    acknowledged: int = 0
    unsure: int = 0  # sent, and neither acknowledged nor refused until the end

    def lost(self, found: int) -> int:
        return max(self.acknowledged - found, 0)

    def doubled(self, found: int) -> int:
        return max(found - self.acknowledged - self.unsure, 0)


@dataclass(slots=True)
class Books:
    """One campaign's; all clients write to them."""

    clock: Callable[[], float]
    sent: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    degraded: Counter[str] = field(default_factory=Counter)
    later: Counter[str] = field(default_factory=Counter)  # asked to come back
    broken: Counter[str] = field(default_factory=Counter)  # connections that brought no answer
    slowest: dict[str, float] = field(default_factory=dict)
    wrong: list[Noted] = field(default_factory=list)
    good_at: dict[str, float] = field(default_factory=dict)  # the latest answer at full strength
    received: dict[str, float] = field(default_factory=dict)  # decisions, by when they came
    observations: dict[tuple[str, str], Counted] = field(default_factory=dict)
    rewards: dict[str, Counted] = field(default_factory=dict)
    trials: dict[str, Counted] = field(default_factory=dict)
    lives: list[tuple[Counted, int]] = field(default_factory=list)  # of a stream begun anew

    def took(self, endpoint: str, seconds: float) -> None:
        self.slowest[endpoint] = max(self.slowest.get(endpoint, 0.0), seconds)

    def note(self, endpoint: str, answer: Answer, accepted: Iterable[int] = ()) -> None:
        """Note an answer; statuses beside 200 that are right for this request are accepted."""
        for wrong in judged(answer, {200, 204, *accepted}):
            text = answer.body[:SHOWN_CHARACTERS].decode(errors="replace")
            self.wrong.append(Noted(self.clock(), wrong, endpoint, answer.status, text))
        if asks_to_come_back(answer):
            self.later[endpoint] += 1

    def receive(self, endpoint: str, decision_id: str | None, *, degraded: bool) -> None:
        """Note an answer that a client goes on from."""
        self.answered[endpoint] += 1
        self.degraded[endpoint] += degraded
        if not degraded:
            self.good_at[endpoint] = self.clock()
        if decision_id is not None:
            self.received[decision_id] = self.clock()

    def count(self, wrong: Wrong) -> int:
        return sum(noted.wrong is wrong for noted in self.wrong)


def asks_to_come_back(answer: Answer) -> bool:
    busy = answer.status >= FAILURES or answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return busy and answer.retry_after is not None


def judged(answer: Answer, accepted: set[int]) -> list[Wrong]:
    """Name what is wrong with an answer to a valid request of a known key."""
    found: list[Wrong] = []
    if answer.body and not answer.content_type.startswith("application/json"):
        found.append(Wrong.PLAIN)
    if answer.status in accepted or asks_to_come_back(answer):
        return found
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            found.append(Wrong.UNAUTHORIZED)
        case HTTPStatus.NOT_FOUND:
            found.append(Wrong.NOT_FOUND)
        case status if status >= FAILURES:
            found.append(Wrong.ERROR)
        case _:
            found.append(Wrong.REFUSED)
    return found
