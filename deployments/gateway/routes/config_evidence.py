"""What a rollout's verdicts rest on: its certificates, and the looks at the step that goes on."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response

from config_store.certificates.progress import StepProgress
from config_store.certificates.store import MOST_ROLLOUTS, CertificateStore
from config_store.errors import UnknownCertificateError
from deployments.api.config_rollouts import CertificatesShown, EvidenceShown
from deployments.api.errors import NotFoundError
from deployments.gateway.context import GatewayContext
from deployments.gateway.routes.access import Here, admitted
from deployments.gateway.steering.words import refusals

router = APIRouter(tags=["configuration"], dependencies=[Depends(admitted)])

# Of one answer, where its certificates are not larger each.
MOST_BYTES = 16_000_000

RolloutId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


@router.get(
    "/config/rollout/{id}/certificate",
    summary="Get the certificates of a rollout, by which its verdicts can be recomputed",
    response_model=CertificatesShown,
)
async def certificates(
    id: RolloutId,  # noqa: A002 - the contract's name
    here: Here,
    limit: Annotated[int, Query(ge=1, le=20, description="Each may be megabytes.")] = 5,
    after: Annotated[
        str, Query(pattern=r"^([0-9a-f]{64})?$", description="The hash of the last one seen.")
    ] = "",
) -> Response:
    store = CertificateStore(here.replica.redis)
    with refusals():
        hashes = await _listed(here, store, id)
        if after and after not in hashes:
            raise UnknownCertificateError(after)
        begin = hashes.index(after) + 1 if after else 0
        written = await store.page(hashes[begin : begin + limit], MOST_BYTES)
    end = begin + len(written)
    more = hashes[end - 1] if end < len(hashes) else None
    # As they were written: nothing that is read and written anew on the way can differ.
    body = b'{"rollout":%b,"certificates":[%b],"next":%b}' % (
        orjson.dumps(id),
        b",".join(written),
        orjson.dumps(more),
    )
    return Response(body, media_type="application/json")


@router.get(
    "/config/rollout/{id}/evidence",
    summary="Get what the looks at a step have found: how much worse the candidate may be",
)
async def evidence(
    id: RolloutId,  # noqa: A002 - the contract's name
    here: Here,
    step: Annotated[int, Query(ge=0, le=1000, description="Counted from 0.")],
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
    after: Annotated[int, Query(ge=0, description="The number of the last look seen.")] = 0,
) -> EvidenceShown:
    with refusals():
        found = await StepProgress(here.replica.redis).points(id, step, after, limit)
    more = found[-1].number if len(found) == limit else None
    return EvidenceShown(rollout=id, step=step, points=found, next=more)


async def _listed(here: GatewayContext, store: CertificateStore, rollout: str) -> list[str]:
    hashes = await store.listed(rollout)
    if hashes:
        return hashes
    state = await here.changes.steering.read()
    if rollout in {each.id for each in (state.rollout, state.last_rollout) if each is not None}:
        return []  # no step of it was judged yet
    raise NotFoundError(
        f"No certificate of a rollout {rollout!r} is kept: GET /config/rollout names the one that "
        "goes on and the last one, GET /timeline?kind=rollout_judged those before. Certificates of "
        f"the newest {MOST_ROLLOUTS} rollouts are kept, or fewer where they are large; of an older "
        "one look for the file that was fetched of it"
    )
