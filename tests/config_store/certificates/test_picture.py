"""The picture of a step: a person, or a test, sees how far it is."""

from config_store.certificates.certificate import Look
from config_store.certificates.examination import Examination
from config_store.certificates.picture import HEIGHT, picture
from tests.config_store.certificates.step import NOW, Rows, chain, plan_of

PLAN = plan_of(paired=False)


def looks_of(count: int, **worse: object) -> list[Look]:
    examination = Examination(PLAN)
    entries = chain("gw-a", Rows().canary(count * 100, **worse))
    for at in range(count):
        examination.look(NOW + at, entries[2 * at : 2 * at + 2])
    return examination.looks


def of_metric(lines: list[str], name: str) -> list[str]:
    at = next(at for at, line in enumerate(lines) if line.startswith(name))
    return lines[at : at + 2 + HEIGHT]


def test_a_bad_metric_climbs_to_the_boundary_and_stays_there() -> None:
    lines = picture(PLAN, looks_of(12, allowed=False), 60)
    title, boundary, *rows = of_metric(lines, "violation_rate")
    assert title.startswith("violation_rate  bad   bad ")
    assert boundary == "-" * 12
    assert rows[0].endswith("xxxxxxxx")
    assert "x" not in "".join(of_metric(lines, "error_rate")[2:])
    assert lines[-1] == (
        "bad after 1,200 rows: violation_rate: the candidate is worse by more than the margin"
    )


def test_a_good_metric_climbs_from_the_ground() -> None:
    _, _, *rows = of_metric(picture(PLAN, looks_of(24), 60), "interval_width")
    columns = [
        next((HEIGHT - at for at, row in enumerate(rows) if row[column : column + 1] == "o"), 0)
        for column in range(24)
    ]
    assert columns == sorted(columns)
    assert (columns[0] < HEIGHT, columns[-1]) == (True, HEIGHT)


def test_it_is_no_wider_than_asked() -> None:
    lines = picture(PLAN, looks_of(24), 10)
    assert of_metric(lines, "p99_ms")[1] == "-" * 10
    assert all(len(line) <= 10 for line in of_metric(lines, "p99_ms")[2:])


def test_nothing_seen_is_said_to_be_so() -> None:
    assert picture(PLAN, [], 60) == ["Nobody has looked at this step yet."]
