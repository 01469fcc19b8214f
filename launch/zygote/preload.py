"""What the zygote imports, in the order in which a start needs it."""

import traceback
from collections.abc import Callable
from importlib import import_module

from deployments.runtime.ray_internals import SERVE_MODULES, WORKER_MODULE

RAY = ("ray", WORKER_MODULE)
REST = (
    *SERVE_MODULES,
    "deployments.history.actor",
    "deployments.app",
    # What single replicas need besides, so that one that died is back the sooner.
    "deployments.features.deployment",
    "deployments.safety.deployment",
    "deployments.forecasting.deployment",
    "deployments.optimization.deployment",
    "deployments.anomaly.deployment",
    "deployments.tail.deployment",
)


class Preload:
    """What is there by now, and whether it may be forked."""

    def __init__(self) -> None:
        self._sound: bool | None = None

    def run(self, between: Callable[[], object]) -> None:
        """Import everything, and do what is to be done after each part of it."""
        self._import(RAY, between)
        from launch.zygote.randomness import ids_from_the_system  # noqa: PLC0415 - Ray

        with ids_from_the_system():
            self._import(REST, between)

    def may_be_forked(self) -> bool:
        """Tell whether forks of what is there by now draw ids of their own."""
        from launch.zygote.randomness import forks_differ  # noqa: PLC0415 - Ray

        if self._sound is None:
            self._sound = forks_differ()
        return self._sound

    def _import(self, modules: tuple[str, ...], between: Callable[[], object]) -> None:
        for module in modules:
            try:
                import_module(module)
            except ImportError:
                traceback.print_exc()  # the worker that needs it will say so where it is read
            self._sound = None
            between()
