"""Keeps the port between replicas off the network.

Serve opens it on all interfaces, and whoever reaches it can send a pickle, which is as good as a
shell. Bound to the node's own address it is loopback on one machine; on a cluster the nodes'
network must be private, or RAY_USE_TLS set with client certificates (docs/operations.md).
"""

from typing import Any

import ray
from ray.serve._private import replica


def bind_to_own_address() -> None:
    """Take effect for this replica; Serve opens the port after the deployment's constructor."""
    opened = replica.add_port_to_grpc_server
    if getattr(opened, "own_address_only", False):
        return

    def open_on_own_address(server: Any, address: str) -> Any:
        return opened(server, address.replace("[::]", ray.util.get_node_ip_address()))

    open_on_own_address.own_address_only = True  # type: ignore[attr-defined] # a mark against wrapping twice
    replica.add_port_to_grpc_server = open_on_own_address
