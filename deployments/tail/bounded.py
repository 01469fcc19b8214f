"""What is said of rows whose entity lies within one bucket of its histogram."""

import math
from collections.abc import Sequence

from deployments.runtime.batch import Columns, Detail, FloatArray
from models.tail.resolution import BEGIN, END


def bounded_details(
    columns: Columns, slo_ms: FloatArray, entities: Sequence[str]
) -> list[Detail | None]:
    """Say of each bounded row what its numbers are, and take back what nobody can know."""
    begins, ends = columns[BEGIN].tolist(), columns[END].tolist()
    rows = zip(entities, slo_ms.tolist(), begins, ends, strict=True)
    return [_detail(*row) if math.isfinite(row[-1]) else None for row in rows]


def _detail(entity: str, slo_ms: float, begin: float, end: float) -> Detail:
    reason = (
        f"Most intervals of {entity} lie within one bucket of its histogram, {begin:.3g} to "
        f"{end:.3g} ms: latencies are bounds, and so is what is over them"
    )
    if not begin < slo_ms < end:
        return {"meta": {"bounds_reason": reason}}
    unknown = f"{reason}. How many requests take longer than {slo_ms:g} ms is not known"
    return {"data": {"breach_probability": None}, "meta": {"bounds_reason": unknown}}
