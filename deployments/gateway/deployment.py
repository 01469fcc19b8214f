"""The gateway: Serve's ingress, where requests come in and answers leave."""

from starlette.types import ASGIApp

from deployments.gateway.app import build_ingress
from deployments.gateway.context import GatewayContext
from deployments.gateway.shortcut import open_shortcut
from deployments.gateway.stages.hops import Handles
from deployments.runtime.transport.handle import Handle


class Gateway:
    """A shell around the context: Serve makes it, awaits its constructor and its destructor."""

    async def __init__(  # type: ignore[misc] # Serve awaits it
        self,
        features: Handle,
        safety: Handle,
        **models: Handle,
    ) -> None:
        self._context = await GatewayContext.opened(Handles(features, safety, models))

    def __serve_build_asgi_app__(self) -> ASGIApp:
        ingress = build_ingress(self._context)
        if not self._context.settings.plain:
            open_shortcut(ingress)
        return ingress

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve of the gateway's load, and how long rows wait in its lanes for each stage."""
        return self._context.replica.report_load()

    async def __del__(self) -> None:
        await self._context.close()
