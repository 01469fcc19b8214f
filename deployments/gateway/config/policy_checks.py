"""Has policies checked in a process of their own: the prover's work would hold up the loop.

The process ends with the check, since no replica that serves has memory to spare for the prover.
It is less nice than the other processes beside replicas, for a person waits for it: see
docs/decisions/worker-niceness.md.
"""

import asyncio
from typing import Any

import orjson

from deployments.api.errors import InvalidError, OverloadedError, UnavailableError
from deployments.api.shipped import known_columns
from deployments.runtime.helper.process import AWAITED, HelperLostError, HelperProcess
from safety.policy import SafetyPolicy
from safety.proofs.findings import Report

# The shipped policies take two; the rest is for a machine that is busy with other things.
PATIENCE_SECONDS = 120.0
MOST_WAITING = 4


class PolicyChecks:
    """One check at a time; a few may wait."""

    def __init__(self, patience_s: float = PATIENCE_SECONDS) -> None:
        self._patience = patience_s
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def check(
        self, policy: dict[str, Any], active: SafetyPolicy | None, *, only_changed: bool = False
    ) -> Report:
        """Check a policy; raises OverloadedError, or UnavailableError where nothing came of it.

        With `only_changed` the families that the active policy judges just so are left out.
        """
        if self._waiting >= MOST_WAITING:
            raise OverloadedError(
                f"{MOST_WAITING} policies wait for their check, as many as may: try again later"
            )
        self._waiting += 1
        try:
            async with self._turn:
                return await self._check(policy, active, only_changed)
        finally:
            self._waiting -= 1

    async def _check(
        self, policy: dict[str, Any], active: SafetyPolicy | None, only_changed: bool
    ) -> Report:
        asked: dict[str, Any] = {
            "policy": policy,
            "known": {name: each.model_dump() for name, each in known_columns().items()},
            "active": None if active is None else active.model_dump(mode="json"),
            "only_changed": only_changed,
        }
        process = HelperProcess(patience_s=self._patience, niceness=AWAITED)
        try:
            orjson.dumps(policy)
        except TypeError as error:  # whole numbers of more than 64 bits
            why = {"policy": f"it cannot be written as JSON ({error})"}
            raise InvalidError("This is no policy", why) from error
        try:
            found = await process.do("check_policy", **asked)
        except HelperLostError as lost:
            raise UnavailableError(
                f"The check did not finish: {lost}. Nothing is decided about the policy"
            ) from lost
        finally:
            await process.close()
        return Report.model_validate(found)
