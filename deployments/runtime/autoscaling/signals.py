"""The figures by which replicas are added and taken away, under the names that Serve keeps them by.

Serve asks each replica for them every few seconds and shows them to the policy (policy.py).
"""

# Cores that the process uses.
BUSY = "busy_cores"
# Seconds that what comes in must wait before the replica turns to it.
WAIT = "wait_s"
# Cores of the replica's node that nobody uses.
SPARE = "spare_cores"
# CPUs that one replica reserves.
RESERVED = "reserved_cpus"


def wait_for(stage: str) -> str:
    """Name the seconds that a row waits in a gateway's lanes because a batch is at this stage."""
    return f"{WAIT} {stage}"


def waited_for(name: str) -> str | None:
    """Name the stage of such a figure; None of any other one."""
    stage = name.removeprefix(f"{WAIT} ")
    return None if stage == name else stage
