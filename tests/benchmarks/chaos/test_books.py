import pytest

from benchmarks.chaos.books import Answer, Books, Counted, Wrong, judged

JSON = "application/json"


def answer(status: int, **other: object) -> Answer:
    usual: dict[str, object] = {"content_type": JSON, "retry_after": None, "body": b"{}"}
    return Answer(status, **(usual | other))  # type: ignore[arg-type] # a test's shorthand


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (answer(200), []),
        (answer(204, content_type="", body=b""), []),
        (answer(503, retry_after="1"), []),
        (answer(429, retry_after="1"), []),
        (answer(429), [Wrong.REFUSED]),
        (answer(503), [Wrong.ERROR]),
        (answer(500), [Wrong.ERROR]),
        (answer(401), [Wrong.UNAUTHORIZED]),
        (answer(404), [Wrong.NOT_FOUND]),
        (answer(404, content_type="text/plain", body=b"Not"), [Wrong.PLAIN, Wrong.NOT_FOUND]),
        (answer(503, content_type="text/html", retry_after="1"), [Wrong.PLAIN]),
        (answer(409), [Wrong.REFUSED]),
        (answer(422), [Wrong.REFUSED]),
    ],
)
def test_what_a_valid_request_must_not_get_is_named(given: Answer, wrong: list[Wrong]) -> None:
    assert judged(given, {200, 204}) == wrong


def test_a_status_that_is_right_for_a_request_is_not_wrong() -> None:
    books = Books(clock=lambda: 7.0)
    books.note("feedback", answer(409), accepted=[409])
    books.note("delete", answer(404), accepted=[404])
    assert books.wrong == []
    books.note("feedback", answer(404), accepted=[409])
    (noted,) = books.wrong
    assert (noted.at, noted.wrong, noted.endpoint) == (7.0, Wrong.NOT_FOUND, "feedback")
    assert books.count(Wrong.NOT_FOUND) == 1


def test_busy_answers_are_counted_and_only_answers_at_full_strength_are_good() -> None:
    now = 1.0
    books = Books(clock=lambda: now)
    books.note("tail", answer(503, retry_after="1"))
    books.receive("tail", "one", degraded=False)
    now = 2.0
    books.receive("tail", "two", degraded=True)
    assert (books.later["tail"], books.answered["tail"], books.degraded["tail"]) == (1, 2, 1)
    assert books.good_at == {"tail": 1.0}
    assert books.received == {"one": 1.0, "two": 2.0}


def test_a_loss_and_a_double_are_found() -> None:
    counted = Counted(acknowledged=10)
    assert (counted.lost(10), counted.doubled(10)) == (0, 0)
    assert (counted.lost(9), counted.doubled(9)) == (1, 0)
    assert (counted.lost(12), counted.doubled(12)) == (0, 2)


def test_what_nobody_knows_of_may_count_once_or_not_at_all() -> None:
    counted = Counted(acknowledged=10, unsure=1)
    for found in (10, 11):
        assert (counted.lost(found), counted.doubled(found)) == (0, 0)
    assert counted.lost(9) == 1
    assert counted.doubled(12) == 1


def test_the_slowest_answer_of_each_endpoint_is_kept() -> None:
    books = Books(clock=lambda: 0.0)
    for seconds in (0.1, 3.0, 0.2):
        books.took("tail", seconds)
    assert books.slowest == {"tail": 3.0}
