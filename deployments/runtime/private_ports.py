"""Keeps the ports that Serve opens for its own use off every network but the cluster's.

The port between replicas: Serve opens it on all interfaces, and whoever reaches it can send a
pickle, which is as good as a shell. The gateways' port: Serve opens it where its HTTP options say,
which is loopback; the front of another node must reach it too, so it is also opened at the node's
own address. On one machine that address is loopback. On a cluster the nodes' network must be
private, or RAY_USE_TLS set with client certificates (docs/operations.md).
"""

import asyncio
from typing import Any

import ray
from ray.serve.config import HTTPOptions

from deployments.runtime import ray_internals
from deployments.runtime.ray_internals import OpenGrpc, OpenHttp

LOOPBACK = "127.0.0.1"


def bind_to_own_address() -> None:
    """Take effect for this replica, whose ports Serve opens later."""
    ray_internals.wrap_port_openers(_on_own_address, _on_own_addresses)


def _on_own_address(open_port: OpenGrpc) -> OpenGrpc:
    def opened(server: Any, address: str) -> Any:
        return open_port(server, address.replace("[::]", ray.util.get_node_ip_address()))

    return opened


def _on_own_addresses(open_http: OpenHttp) -> OpenHttp:
    async def opened(app: Any, options: HTTPOptions, **rest: Any) -> Any:
        started: list[Any] = []
        try:
            for host in own_addresses(ray.util.get_node_ip_address()):
                own = options.model_copy(update={"host": host})
                started.append(await open_http(app, own, **rest))
        except RuntimeError:  # the port is taken: Serve tries another one, at both addresses
            for _, server in started:
                server.should_exit = True
            raise
        return together(started)

    return opened


def own_addresses(node: str) -> list[str]:
    """Name where a gateway listens: HAProxy on its own node finds it on loopback."""
    return [LOOPBACK] if node == LOOPBACK else [LOOPBACK, node]


class Servers:
    """The HTTP servers of one gateway, which Serve takes for one: all it does is to let it end."""

    def __init__(self, servers: list[Any]) -> None:
        self._servers = servers

    @property
    def should_exit(self) -> bool:
        return all(server.should_exit for server in self._servers)

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        for server in self._servers:
            server.should_exit = value


def together(started: list[tuple["asyncio.Task[None]", Any]]) -> tuple[Any, Any]:
    """Give what Serve keeps of a server: the task that runs it, and a handle to end it."""
    tasks = [task for task, _ in started]
    return asyncio.gather(*tasks), Servers([server for _, server in started])
