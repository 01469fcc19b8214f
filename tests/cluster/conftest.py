"""What all tests of clusters need."""

from collections.abc import Sequence

import pytest

# Ray leaves processes of its own to the collector, which finds them in the midst of any test: also
# of one that comes after the one that started them.
RAYS_OWN = pytest.mark.filterwarnings("ignore:Exception ignored in.*Popen.__del__")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if "cluster" in item.path.parts:
            item.add_marker(RAYS_OWN)
