"""Python runs this first in every process of the cluster, where alone its folder is on PYTHONPATH.

A worker of Ray's becomes the stand-in of a fork; what goes on as itself has Serve without pandas.
"""

# ruff: noqa: INP001 - Python finds it by its name alone
from contextlib import suppress

with suppress(ImportError):  # another environment than the one that began the cluster
    from launch.lean_serve import withhold
    from launch.zygote.stand_in import hand_over

    hand_over()
    withhold()
