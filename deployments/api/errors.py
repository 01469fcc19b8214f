"""Everything a client can be refused with, in one tree, and the one JSON shape of a refusal."""

from collections.abc import Mapping
from typing import ClassVar

import orjson


class RefusedError(Exception):
    """The root: a request that gets an answer other than the one it asked for."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        fields: Mapping[str, str] | None = None,
        *,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s

    def body(self, request_id: str) -> bytes:
        return orjson.dumps(
            {
                "error": {
                    "code": self.code,
                    "message": self.message,
                    "fields": self.fields,
                    "request_id": request_id,
                }
            }
        )


class BadRequestError(RefusedError):
    """The body is not what its protocol says."""

    status, code = 400, "bad_request"


class UnauthorizedError(RefusedError):
    status, code = 401, "unauthorized"


class ForbiddenError(RefusedError):
    status, code = 403, "forbidden"


class NotFoundError(RefusedError):
    status, code = 404, "not_found"


class MethodNotAllowedError(RefusedError):
    status, code = 405, "method_not_allowed"


class ConflictError(RefusedError):
    """The request clashes with what happened before: a second feedback, an old sequence number."""

    status, code = 409, "conflict"


class PolicyRefusalError(RefusedError):
    """The safety policy has a rule by which this row gets no answer at all."""

    status, code = 409, "policy"


class TooSlowError(RefusedError):
    """The request did not arrive in its time."""

    status, code = 408, "too_slow"


class TooLargeError(RefusedError):
    status, code = 413, "too_large"


class UnsupportedMediaTypeError(RefusedError):
    """The body is of a type or an encoding that is not read."""

    status, code = 415, "unsupported_media_type"


class InvalidError(RefusedError):
    """The body or a parameter is not what the contract says; fields names each culprit."""

    status, code = 422, "invalid"


class TooManyConnectionsError(RefusedError):
    """One address holds more connections than it may."""

    status, code = 429, "too_many_connections"


class QuotaError(RefusedError):
    """The key has used up what it may; others go on."""

    status, code = 429, "quota"

    def __init__(
        self,
        message: str,
        fields: Mapping[str, str] | None = None,
        *,
        # A count falls when somebody deletes, not by itself: more than once a minute is in vain.
        retry_after_s: int | None = 60,
    ) -> None:
        super().__init__(message, fields, retry_after_s=retry_after_s)


class NotServedError(RefusedError):
    """The contract has it, and this release does not serve it yet: the request is a right one."""

    status, code = 501, "not_served"


class _LaterError(RefusedError):
    status = 503

    def __init__(
        self,
        message: str,
        fields: Mapping[str, str] | None = None,
        *,
        retry_after_s: int | None = 1,
    ) -> None:
        super().__init__(message, fields, retry_after_s=retry_after_s)


class OverloadedError(_LaterError):
    """There is no room or no time: the same request may well succeed a moment later."""

    code = "overloaded"


class LateError(OverloadedError):
    """The request's deadline is over before it has an answer."""

    def __init__(self) -> None:
        super().__init__("The request's deadline has passed: try again")


class UnavailableError(_LaterError):
    """A part that this request cannot do without is away."""

    code = "unavailable"


class UnreadableError(_LaterError):
    """What is kept of a key was written by another release: an operator must bring it back."""

    code = "unreadable"

    def __init__(
        self,
        message: str,
        fields: Mapping[str, str] | None = None,
        *,
        retry_after_s: int | None = 30,
    ) -> None:
        super().__init__(message, fields, retry_after_s=retry_after_s)


# Those with which a family may refuse one row of a batch.
REFUSALS: dict[str, type[RefusedError]] = {
    refusal.code: refusal
    for refusal in (
        NotFoundError,
        ConflictError,
        PolicyRefusalError,
        InvalidError,
        QuotaError,
        UnavailableError,
        UnreadableError,
    )
}


class StageLostError(Exception):
    """A stage of the DAG gave no answer in its time; what that means is the caller's to decide."""

    def __init__(self, stage: str, cause: str) -> None:
        super().__init__(f"The stage {stage!r} did not answer: {cause}")
        self.stage = stage
