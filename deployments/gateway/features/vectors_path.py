"""`POST /features/vectors` without FastAPI's machinery, which costs more than the answer itself.

What it answers is what FastAPI's route of that path answers, byte for byte; a test holds the two
against each other.
"""

from collections.abc import Callable

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from access.endpoints import needed_role
from access.keys import Role
from config_store.store import Version
from deployments.api.errors import InvalidError
from deployments.api.features import VectorsQuery
from deployments.gateway.admission.admission import Admission
from deployments.gateway.bodies.reader import UNFIT, fields_of, read_body
from deployments.gateway.bodies.room import BodyPermit, BodyRoom
from deployments.gateway.features.reader import FeatureReader
from deployments.gateway.ingress.direct_answer import answer_directly
from deployments.gateway.ingress.ingress import Observe

PATH = "/features/vectors"
# A thousand names of two hundred characters, each of which JSON may write as six.
MOST_BYTES = 1_500_000


class VectorsQuestions:
    """Reads a question for vectors off a request's body, and answers it."""

    def __init__(
        self,
        features: FeatureReader,
        room: BodyRoom,
        active: Callable[[], Version],
        wall: Callable[[], float],
    ) -> None:
        self._features = features
        self._room = room
        self._active = active
        self._wall = wall

    async def answer(self, receive: Receive, key_id: str) -> bytes:
        """Answer by the configuration that is active; raises RefusedError, ClientGoneError."""
        with BodyPermit(self._room, key_id) as permit:
            raw = await read_body(receive, most_bytes=MOST_BYTES, large=permit.take)
        try:
            query = VectorsQuery.model_validate_json(raw)
        except ValidationError as refusal:
            raise InvalidError(UNFIT, fields_of(refusal.errors())) from refusal
        return await self._features.read_many(self._active().document.features, query, self._wall())


class VectorsPath:
    """Stands before the app and answers these questions itself."""

    def __init__(
        self, rest: ASGIApp, questions: VectorsQuestions, admission: Admission, observe: Observe
    ) -> None:
        self._rest = rest
        self._questions = questions
        self._admission = admission
        self._observe = observe
        self._role = needed_role("POST", PATH) or Role.VIEWER

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._rest(scope, receive, send)
            return

        async def content() -> bytes:
            principal = self._admission.admit(scope["headers"], self._role)
            return await self._questions.answer(receive, principal.key_id)

        await answer_directly(scope, send, PATH, self._observe, content)
