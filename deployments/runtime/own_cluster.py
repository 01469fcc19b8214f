"""What a process knows of its Ray cluster; one that has not loaded Ray belongs to none.

`make dev` runs the deployments in a process without Ray, whose import takes longer than all the
rest of their start. So what they need of it is imported only where it has been loaded before.
"""

import sys

LOOPBACK = "127.0.0.1"
# So long a call that comes through Ray may wait, where nothing that a client waits for comes so.
MAIN_THREAD_RESTS_SECONDS = 0.09


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


def let_main_thread_rest() -> None:
    """Have what Ray's main thread in this process does ten times a second, not a hundred.

    For replicas whose batches and requests come over connections of their own; through Ray come
    Serve's questions after their health.
    """
    if not belongs_to_one():
        return
    import ray  # noqa: PLC0415 - see above

    if ray.is_initialized():
        from deployments.runtime import ray_internals  # noqa: PLC0415 - see above

        ray_internals.rest_before_signals(lambda: MAIN_THREAD_RESTS_SECONDS)
