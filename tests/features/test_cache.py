from hypothesis import given
from hypothesis import strategies as st

from features.cache import FeatureCache
from features.rows import FeatureRow

ROW, NEWER = FeatureRow({"load": 0.5}, 60.0), FeatureRow({"load": 0.6}, 120.0)


def row_of(cache: FeatureCache, entity: str, now: float = 0.0) -> FeatureRow | None:
    cached = cache.get(entity, now)
    assert cached is not None
    return cached.row


def test_what_was_put_is_found_and_nothing_else() -> None:
    cache = FeatureCache()
    cache.put("auth", ROW, 1.0)
    assert row_of(cache, "auth") == ROW
    assert cache.get("pricing", 1.0) is None


def test_it_remembers_that_nobody_knows_an_entity() -> None:
    cache = FeatureCache()
    cache.put("nobody", None, 1.0)
    assert row_of(cache, "nobody") is None


def test_a_newer_row_replaces_the_one_before() -> None:
    cache = FeatureCache()
    cache.put("auth", ROW, 1.0)
    cache.put("auth", NEWER, 2.0)
    assert row_of(cache, "auth") == NEWER


def test_a_fetch_that_found_nothing_leaves_what_is_known() -> None:
    cache = FeatureCache()
    cache.put("auth", ROW, 1.0)
    cache.put("auth", None, 9.0)
    assert row_of(cache, "auth") == ROW
    assert cache.older_than(9.0) == []  # yet it was asked for then


def test_it_tells_what_was_fetched_before_a_moment() -> None:
    cache = FeatureCache()
    for entity, fetched in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        cache.put(entity, ROW, fetched)
    cache.get("a", 99.0)  # asking is not fetching
    assert sorted(cache.older_than(3.0)) == ["a", "b"]


def test_what_nobody_asks_for_is_forgotten_however_often_it_was_fetched() -> None:
    cache = FeatureCache()
    cache.put("idle", ROW, 1.0)
    cache.put("busy", ROW, 1.0)
    cache.get("busy", 50.0)
    cache.put("idle", NEWER, 60.0)
    cache.forget_idle(asked_before=50.0)
    assert len(cache) == 1
    assert row_of(cache, "busy") == ROW


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60), st.integers(1, 5))
def test_it_keeps_those_asked_for_most_recently_and_no_more(
    steps: list[tuple[int, bool]], capacity: int
) -> None:
    cache = FeatureCache(capacity)
    recent: list[str] = []  # the last is the most recent
    for now, (number, first_time) in enumerate(steps):
        entity = str(number)
        if cache.get(entity, now) is None and first_time:
            cache.put(entity, ROW, now)
            recent = [*recent, entity][-capacity:]
        elif entity in recent:
            recent = [*(each for each in recent if each != entity), entity]
    assert len(cache) == len(recent)
    assert all(cache.get(entity, 0.0) is not None for entity in recent)
