"""Which features the models that answer rest on."""

import asyncio
import math
from pathlib import Path

from fastapi import APIRouter, Depends

from deployments.api.features import ImportanceShown, InputImportance, ModelImportance
from deployments.gateway.routes.access import Here, admitted
from models.pointer import read_pointer
from models.registry import CHAMPION
from models.tail.importance import FEATURES, read_importances
from models.tail.naming import TAIL_MODEL

router = APIRouter(tags=["features"], dependencies=[Depends(admitted)])

LOSS = "pinball, the mean over all levels, on held-out intervals"


@router.get(
    "/features/importance",
    summary="List how much each feature matters to the models that read features",
)
async def importance(here: Here) -> ImportanceShown:
    """Forecasters are not among them: they learn from a series of its own past."""
    found = await asyncio.to_thread(_tail, here.settings.paths.models)
    return ImportanceShown(models=[found] if found else [])


def _tail(folder: Path) -> ModelImportance | None:
    champion = read_pointer(folder, TAIL_MODEL, CHAMPION)
    if champion is None:
        return None
    inputs = [
        InputImportance(
            input=name,
            features=list(FEATURES[name]),
            importance=each.share,
            standard_error=None if math.isnan(each.error) else each.error,
        )
        for name, each in read_importances(champion.metrics).items()
    ]
    return ModelImportance(
        model=champion.name,
        version=champion.version,
        of_demo=champion.of_demo,
        loss=LOSS,
        inputs=inputs,
    )
