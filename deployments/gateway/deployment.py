"""The gateway: Serve's ingress, where requests come in and answers leave."""

from starlette.types import ASGIApp

from deployments.gateway.app import build_app
from deployments.gateway.door import Door, InferencePath
from deployments.gateway.premises import Handles, Premises
from deployments.gateway.shortcut import open_shortcut
from deployments.runtime.autoscaling import METRIC
from deployments.runtime.transport.handle import Handle


class Gateway:
    async def __init__(  # type: ignore[misc] # Serve awaits it
        self,
        features: Handle,
        safety: Handle,
        **models: Handle,
    ) -> None:
        self._premises = Premises(Handles(features, safety, models))
        await self._premises.open()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        premises = self._premises
        paths = [
            InferencePath(family, premises.desk, premises.admission)
            for family in premises.families.values()
        ]
        door = Door(build_app(premises), paths, premises.observe)
        if not premises.settings.plain:
            open_shortcut(door)
        return door

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Tell Serve how busy the replica is: what takes the shortcut it does not see."""
        return {METRIC: self._premises.replica.busy.share()}

    async def __del__(self) -> None:
        await self._premises.close()
