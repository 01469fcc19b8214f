"""Which features the models that answer rest on."""

import asyncio
import math
from pathlib import Path

from fastapi import APIRouter, Depends

from config_store.document import ConfigDocument
from config_store.pinning import answering
from deployments.api.features import ImportanceShown, InputImportance, ModelImportance
from deployments.gateway.routes.access import Here, admitted
from models.tail.importance import FEATURES, read_importances

router = APIRouter(tags=["features"], dependencies=[Depends(admitted)])

LOSS = "pinball, the mean over all levels, on held-out intervals"


@router.get(
    "/features/importance",
    summary="List how much each feature matters to the models that read features",
)
async def importance(here: Here) -> ImportanceShown:
    """Forecasters are not among them: they learn from a series of its own past."""
    document = here.active().document
    found = await asyncio.to_thread(_tail, here.settings.paths.models, document)
    return ImportanceShown(models=[found] if found else [])


def _tail(folder: Path, document: ConfigDocument) -> ModelImportance | None:
    version = answering(document, folder, document.serving.tail.model)
    if version is None:
        return None
    inputs = [
        InputImportance(
            input=name,
            features=list(FEATURES[name]),
            importance=each.share,
            standard_error=None if math.isnan(each.error) else each.error,
        )
        for name, each in read_importances(version.metrics).items()
    ]
    return ModelImportance(
        model=version.name,
        version=version.version,
        of_demo=version.of_demo,
        loss=LOSS,
        inputs=inputs,
    )
