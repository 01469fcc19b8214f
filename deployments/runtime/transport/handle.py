"""What the transports use of a handle of Serve's, without Ray: `make dev` has its own."""

from collections.abc import Awaitable
from typing import Protocol


class Question(Protocol):
    def remote(self) -> Awaitable[tuple[str, int]]: ...


class Directory(Protocol):
    """Names a replica of one deployment, another one each time."""

    @property
    def where(self) -> Question: ...


class Response(Awaitable[bytes], Protocol):
    def cancel(self) -> object: ...


class Caller(Protocol):
    """Calls a replica of one deployment."""

    def remote(self, asked: bytes, /) -> Response: ...


class Sessions(Caller, Protocol):
    """Calls any replica, or the one that keeps a session."""

    def options(self, *, session_id: str) -> Caller: ...


class Handle(Directory, Protocol):
    """Stands for one deployment, on either transport."""

    def options(self, *, method_name: str, _by_reference: bool) -> Sessions: ...
