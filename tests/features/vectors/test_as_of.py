"""What goes by the clock is computed once a step, and new entities need not wait for it."""

from collections.abc import Sequence

from features.vectors.as_of import Moment, StepMemory, Values

HOUR = 3600
NOON = 1_773_144_000


class Asked:
    """Entities, each known since a moment; notes what it is asked."""

    def __init__(self, **known_since: int) -> None:
        self.known_since = known_since
        self.asked: list[tuple[int, list[str]]] = []

    def __call__(self, entities: Sequence[str], moment: Moment) -> dict[str, Values]:
        assert moment.known_until_ms >= moment.at * 1000
        self.asked.append((moment.at - NOON, list(entities)))
        known = [each for each in entities if self.known_since.get(each, 2**40) <= moment.at]
        return {each: {"x": float(moment.at - NOON)} for each in known}


def values(memory: StepMemory, read: Asked, second: int, *entities: str) -> dict[str, float]:
    now = Moment(NOON + second, (NOON + second) * 1000)
    found = memory.values("group", HOUR, entities, now, read)
    assert all(each.values["x"] == each.at - NOON for each in found.values())
    return {entity: each.values["x"] for entity, each in found.items()}


def test_a_step_is_computed_once_and_not_before_it_is_settled() -> None:
    memory, read = StepMemory(), Asked(old=0)
    assert values(memory, read, 4, "old") == {"old": -HOUR}
    assert values(memory, read, 5, "old") == {"old": 0}
    assert values(memory, read, HOUR, "old") == {"old": 0}
    assert values(memory, read, HOUR + 5, "old") == {"old": HOUR}
    assert [at for at, _ in read.asked] == [-HOUR, 0, HOUR]


def test_a_new_entity_is_given_as_of_the_minute_and_a_newer_one_as_of_now() -> None:
    memory, read = StepMemory(), Asked(old=0, new=NOON + 100, newer=NOON + 190)
    assert values(memory, read, 200, "old", "new", "newer", "nobody") == {
        "old": 0,
        "new": 180,
        "newer": 200,
    }
    read.asked.clear()
    assert values(memory, read, 230, "old", "new", "newer")["newer"] == 230
    assert read.asked == [(230, ["newer"])]
    assert values(memory, read, 250, "newer") == {"newer": 240}
    assert values(memory, read, HOUR + 9, "new") == {"new": HOUR}
