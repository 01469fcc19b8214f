"""A sample of the decisions of a time, drawn so that it may end anywhere.

Ids are ordered by a hash of each with a salt: as random as the hash, the same each time for the
same salt, and the first so many of them are a simple random sample without replacement, however
many that are. A decision's time is that of its id.
"""

from collections.abc import Sequence

from observability.clickhouse import Clickhouse, Params

# A row that a drain stored twice, for it was killed, counts once: the engine merges as it reads.
_COUNT = """
SELECT family, count() AS rows FROM decisions FINAL
WHERE decision_id >= {first:String} AND decision_id < {last:String} GROUP BY family
"""
_DRAW = """
SELECT decision_id FROM decisions FINAL
WHERE decision_id >= {first:String} AND decision_id < {last:String}
ORDER BY sipHash64({salt:String}, decision_id), decision_id LIMIT {most:UInt32}
SETTINGS max_threads = 1
"""
# Who answered is asked of the rows themselves, once they are here: a client may write the mark too.
_BEFORE = """
SELECT row FROM decisions
WHERE decision_id >= {first:String} AND decision_id < {last:String}
  AND family = {family:String} AND entity = {entity:String}
  AND position(row, '"rung":"model"') > 0
ORDER BY decision_id DESC LIMIT 1 BY decision_id LIMIT {most:UInt32}
SETTINGS output_format_arrow_string_as_string = 0, max_threads = 1
"""


def count(store: Clickhouse, since_ms: int, before_ms: int) -> dict[str, int]:
    """Count the decisions of a time, by family."""
    found = store.query(_COUNT, {"first": _id(since_ms), "last": _id(before_ms)})
    return {each["family"]: int(each["rows"]) for each in found}


def draw(store: Clickhouse, since_ms: int, before_ms: int, salt: str, most: int) -> Sequence[str]:
    """Draw some decisions of a time, each once."""
    params: Params = {
        "first": _id(since_ms),
        "last": _id(before_ms),
        "salt": salt,
        "most": most,
    }
    return list(dict.fromkeys(each["decision_id"] for each in store.query(_DRAW, params)))


def before(
    store: Clickhouse, decision_id: str, family: str, entity: str, since_ms: int, most: int
) -> list[bytes]:
    """Give the rows of an entity's answers before a decision, newest first, that a model gave."""
    params: Params = {
        "first": _id(since_ms),
        "last": decision_id,
        "family": family,
        "entity": entity,
        "most": most,
    }
    return [each["row"] for each in store.query(_BEFORE, params)]


def _id(ms: int) -> str:
    """Give what is at or before every id of this millisecond, and after all earlier ones."""
    stamp = f"{max(ms, 0):012x}"
    return f"{stamp[:8]}-{stamp[8:]}"
