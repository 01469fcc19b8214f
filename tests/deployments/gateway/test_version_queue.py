import hypothesis.strategies as st
from hypothesis import given

from deployments.gateway.version_queue import VersionQueue


def test_the_version_whose_next_item_came_first_has_its_turn() -> None:
    queue: VersionQueue[int] = VersionQueue(lambda item: item)
    for item, version in enumerate([1, 2, 1, 1, 2]):
        queue.add(version, "a", item, 1)
    taken = []
    while queue:
        taken.append(queue.take(queue.next_version()))
    assert taken == [0, 1, 2, 3, 4]
    assert queue.weight == 0
    assert queue.peek(1) is None


def test_the_bound_is_one_for_all_versions_and_an_owner_has_a_share_of_it() -> None:
    queue: VersionQueue[int] = VersionQueue(lambda item: item)
    assert queue.has_room("a", 100, 10)  # nobody waits
    for version in (1, 2):
        queue.add(version, "a", version, 5)
    assert not queue.has_room("a", 1, 10)
    assert queue.has_room("b", 5, 10)
    assert not queue.has_room("b", 6, 10)


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.integers(1, 5))))
def test_each_item_comes_out_once_and_under_its_version(asked: list[tuple[int, str, int]]) -> None:
    queue: VersionQueue[int] = VersionQueue(lambda item: item)
    for at, (version, owner, weight) in enumerate(asked):
        queue.add(version, owner, at, weight)
    assert queue.weight == sum(weight for _, _, weight in asked)
    taken = []
    while queue:
        version = queue.next_version()
        taken.append((queue.take(version), version))
    assert sorted(taken) == [(at, version) for at, (version, _, _) in enumerate(asked)]
    assert queue.weight == 0
