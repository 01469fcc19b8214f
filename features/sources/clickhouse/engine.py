"""What a source asks of ClickHouse, whichever way it is reached."""

from collections.abc import Mapping
from typing import Final, Protocol

import pyarrow as pa

# Of one answer. More is asked for in smaller pieces.
MOST_ROWS: Final = 200_000
MOST_BYTES: Final = 32 * 1024 * 1024
ANSWER_SECONDS: Final = 30.0


class Engine(Protocol):
    """Asks SQL that only reads.

    It raises SourceAwayError where nobody answers in time, and SourceRefusedError where asking
    again will not help; TooMuchAskedError, one of these, where asking for less would.
    """

    async def ask(self, sql: str, params: Mapping[str, str]) -> pa.Table:
        """Give the rows; values reach the SQL only through `{name:Type}` places, never as text."""
        ...

    async def close(self) -> None: ...


def bounds(answer_seconds: float, readonly: int) -> dict[str, str]:
    """Give the settings that let a question write nothing and cost no more than this."""
    return {
        "readonly": str(readonly),
        "max_execution_time": f"{answer_seconds:g}",
        "max_result_rows": str(MOST_ROWS),
        "max_result_bytes": str(MOST_BYTES),
        "result_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
    }
