import inspect

from observability import errors


def test_every_error_of_the_room_can_be_caught_by_its_root() -> None:
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    assert len(found) > 5
    assert all(issubclass(each, errors.ObservabilityError) for each in found)
    assert all(each.__doc__ for each in found)
