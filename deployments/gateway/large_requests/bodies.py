"""Large bodies are validated in slices, so that other requests get their turn in between.

Validating 1,000 rows takes some 50 ms, in which the loop would answer nobody else. The rows are
found without parsing them, and each slice is parsed and validated by itself. Anything but a plain
`{"rows": [{...}, ...]}` is left to the ordinary reader, which says best what is wrong with it.
"""

import re
from collections.abc import Iterator

from deployments.api.endpoint import USUAL_BULK, Bulk

OVER_BYTES = 16 * 1024
# A third of a millisecond's validation; smaller slices would cost more in all.
SLICE_BYTES = 4 * 1024
_DEEPEST = 16

_HEAD = re.compile(rb'\s*\{\s*"rows"\s*:\s*\[\s*')
_TAIL = re.compile(rb"\s*\}\s*")
_BETWEEN = re.compile(rb"\s*,\s*")
# The last quote stands for a string without an end. Without it the search would begin anew at each
# quote in that string, and a small body would hold the loop for hours.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)
_SPACE = re.compile(rb"\s*")


class OddBodyError(Exception):
    """The body is no plain list of rows, and must be read as a whole."""


def slices(raw: bytes, bulk: Bulk = USUAL_BULK) -> Iterator[tuple[bytes, int]]:
    """Cut the body into bodies of fewer rows; give each with its number of rows."""
    head = _HEAD.match(raw)
    if head is None:
        raise OddBodyError
    begin, count, end = head.end(), 0, head.end()
    for start, stop in _rows(raw, head.end(), bulk.tokens):
        first = end == head.end()
        if not (start == end if first else _BETWEEN.fullmatch(raw, end, start)):
            raise OddBodyError
        if stop - begin > SLICE_BYTES and count:
            yield b'{"rows":[' + raw[begin:end] + b"]}", count
            begin, count = start, 0
        count, end = count + 1, stop
    yield b'{"rows":[' + raw[begin:end] + b"]}", count


def _rows(raw: bytes, at: int, most_tokens: int) -> Iterator[tuple[int, int]]:
    """Find where each row begins and ends; OddBodyError unless the body ends with its rows."""
    depth, start, end, left = 0, at, at, most_tokens
    for token in _TOKEN.finditer(raw, at):
        left -= 1
        if left < 0 or token[0] == b'"':
            raise OddBodyError
        match raw[token.start()]:
            case 0x5B | 0x7B:  # [ {
                if depth == 0:
                    start = token.start()
                depth += 1
                if depth > _DEEPEST:
                    raise OddBodyError
            case 0x5D | 0x7D if depth:  # ] }
                depth -= 1
                if depth == 0:
                    end, left = token.end(), most_tokens
                    yield start, end
            case 0x5D:  # of the rows themselves
                _check_end(raw, end, token.start())
                return
            case _ if depth == 0:
                raise OddBodyError
    raise OddBodyError


def _check_end(raw: bytes, end: int, bracket: int) -> None:
    if _SPACE.fullmatch(raw, end, bracket) is None or _TAIL.fullmatch(raw, bracket + 1) is None:
        raise OddBodyError
