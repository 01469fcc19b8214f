"""What all tests of clusters need."""

from collections.abc import Sequence

import pytest

# Ray leaves processes of its own, and sockets that it never bound, to the collector, which finds
# them in the midst of any test: also of one that comes after the one that started them.
RAYS_OWN = (
    pytest.mark.filterwarnings("ignore:Exception ignored in.*Popen.__del__"),
    pytest.mark.filterwarnings(r"ignore:unclosed <socket.*laddr=\('0.0.0.0', 0\):ResourceWarning"),
    pytest.mark.filterwarnings(r"ignore:Exception ignored in.*socket.*laddr=\('0.0.0.0', 0\)"),
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    for item in items:
        if "cluster" in item.path.parts:
            for each in RAYS_OWN:
                item.add_marker(each)
