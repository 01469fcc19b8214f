"""What the HTTP APIs of sources share: a server's address, and the bearer token it asks for."""

from collections.abc import Callable
from pathlib import Path

from features.sources.http.connection import DEFAULT_LIMITS, Connection, Limits
from features.sources.http.key import bearer


class SourceApi:
    """Asks the server of one source, with the token of a file where it wants one.

    Every method of an API raises SourceAwayError where nobody answers in time, and
    SourceRefusedError where asking again will not help; TooMuchAskedError, one of these, where
    asking for less would.
    """

    def __init__(
        self,
        source: str,
        url: str,
        *,
        random: Callable[[], float],
        token_file: str | Path | None = None,
        verify_tls: bool = True,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._source = source
        self._limits = limits
        self._connection = Connection(
            source,
            url,
            key=None if token_file is None else bearer(token_file),
            verify_tls=verify_tls,
            limits=limits,
            random=random,
        )

    async def close(self) -> None:
        await self._connection.close()
