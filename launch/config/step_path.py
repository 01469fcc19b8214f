"""The looks at the step of a rollout that is shown, each asked for once."""

from collections.abc import Mapping
from typing import Any

import httpx

from launch.platform_client import fetch

Body = Mapping[str, Any]
Points = list[dict[str, Any]]

PAGE = 1000


class StepPath:
    """Keeps what was seen of one step; another step begins anew."""

    def __init__(self) -> None:
        self._step: tuple[str, int] | None = None
        self._points: Points = []

    async def of(self, client: httpx.AsyncClient, shown: Body) -> Points:
        """Give all looks at the step that goes on, or at the one at which the last rollout ended.

        `shown` is the answer of GET /config/rollout.
        """
        rollout = shown["rollout"] or shown["last"]
        if rollout is None:
            return []
        step = rollout["id"], rollout["step"]
        if step != self._step:
            self._step, self._points = step, []
        path = f"/config/rollout/{step[0]}/evidence?step={step[1]}&limit={PAGE}"
        after: int | None = self._points[-1]["number"] if self._points else 0
        while after is not None:
            page = await fetch(client, "GET", f"{path}&after={after}")
            self._points += page["points"]
            after = page["next"]
        return self._points
