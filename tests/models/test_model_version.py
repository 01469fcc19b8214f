import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidNameError
from models.model_version import Semver, checked_alias, folder_name, name_of

PARTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,8}", fullmatch=True)
NUMBERS = st.tuples(*[st.integers(0, 10_000)] * 3)


@given(NUMBERS, st.sampled_from(["", "v"]))
def test_a_version_is_read_with_and_without_its_v(numbers: tuple[int, int, int], v: str) -> None:
    version = Semver(*numbers)
    assert Semver.parse(f"{v}{version}") == version


def test_versions_compare_as_numbers() -> None:
    assert Semver.parse("1.10.0") > Semver.parse("1.9.3")
    assert str(Semver.parse("v1.2.3").next_minor()) == "1.3.0"


@pytest.mark.parametrize(
    "text", ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-rc1", "V1.0.0", "1.0.0\n"]
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidNameError, match="not of the form"):
        Semver.parse(text)


@given(st.lists(PARTS, min_size=1, max_size=3).map("/".join))
def test_a_folder_name_can_be_undone(name: str) -> None:
    assert "/" not in folder_name(name)
    assert name_of(folder_name(name)) == name


@pytest.mark.parametrize("name", ["", "Tail", "a//b", "/a", "a/", "../a", "a.b", "a b", "a'b"])
def test_a_name_that_could_leave_its_folder_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="model name"):
        folder_name(name)


@pytest.mark.parametrize("alias", ["", "../champion", "Champion", "1st"])
def test_what_is_no_alias_is_refused(alias: str) -> None:
    with pytest.raises(InvalidNameError, match="alias"):
        checked_alias(alias)
