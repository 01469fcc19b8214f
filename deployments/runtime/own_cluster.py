"""What a process knows of its Ray cluster; one that has not loaded Ray belongs to none.

`make dev` runs the deployments in a process without Ray, whose import takes longer than all the
rest of their start. So what they need of it is imported only where it has been loaded before.
"""

import sys

LOOPBACK = "127.0.0.1"


def belongs_to_one() -> bool:
    """Tell whether Ray is loaded, as it is in every process that Ray starts."""
    return "ray" in sys.modules


def node_address() -> str:
    """Give the address of this node in its cluster, or loopback."""
    if not belongs_to_one():
        return LOOPBACK
    import ray  # noqa: PLC0415 - see above

    address: str = ray.util.get_node_ip_address()
    return address


def keep_ports_private() -> None:
    """Keep the ports that Serve opens in this process off every network but the cluster's."""
    if belongs_to_one():
        from deployments.runtime.private_ports import bind_to_own_address  # noqa: PLC0415 - see above

        bind_to_own_address()


def reserved_cpus() -> float:
    """Give what this process reserves of its node; nothing where Ray did not start it."""
    if not belongs_to_one():
        return 0.0
    import ray  # noqa: PLC0415 - see above

    if not ray.is_initialized():
        return 0.0
    return float(ray.get_runtime_context().get_assigned_resources().get("CPU", 0.0))
