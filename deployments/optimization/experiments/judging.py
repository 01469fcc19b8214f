"""Has policies judged in the process beside the replica: it takes hundreds of milliseconds."""

import asyncio
import base64
import logging

from deployments.optimization.experiments.operations import Freeze
from deployments.runtime.batch import Batch, Prediction
from deployments.runtime.helper.process import HelperLostError, HelperProcess

# Under the deadline that ships: a batch that is late altogether would cost its channel.
JUDGING_SECONDS = 8.0

log = logging.getLogger(__name__)


async def judge(batch: Batch, prediction: Prediction, helper: HelperProcess) -> None:
    """Put the judgement in place of each frozen experiment."""
    rows = [row for row in range(len(batch)) if row not in prediction.refusals]
    await asyncio.gather(*(_judge(batch, prediction, helper, row) for row in rows))


async def _judge(batch: Batch, prediction: Prediction, helper: HelperProcess, row: int) -> None:
    ask: Freeze = batch.asks[row]
    detail = prediction.details[row] or {}
    frozen = base64.b64encode(detail["data"]["frozen"]).decode()
    try:
        async with asyncio.timeout(JUDGING_SECONDS):
            found = await helper.do("evaluate", frozen=frozen, policy=ask["policy"])
    except (HelperLostError, TimeoutError) as lost:
        log.warning("A policy could not be evaluated: %r", lost)
        message = "The policy could not be evaluated at the moment: try again"
        prediction.refusals[row] = {"code": "unavailable", "message": message}
        prediction.details[row] = None
        return
    prediction.details[row] = {"data": {"experiment": batch.keys[row], **found}}
    if robust := found["estimates"]["dr"]:
        for end in ("lower", "upper"):
            prediction.columns[end][row] = robust[end]
