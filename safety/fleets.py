"""How large a fleet an automatic answer may ask for: up to so many workers, and no more than are.

The limit is one on growth. A fleet that people made larger than it is kept as it is: an answer that
took workers from a large fleet because of its size would do harm in the name of safety.
"""

from safety.caps import WORKERS_NOW
from safety.conditions import Comparison
from safety.limits import Level, Range, Relation, Repair


def most_workers(
    field: str, most: float, *, least: float | None = None, said: str = ""
) -> tuple[Range, Relation]:
    """Limit a number of workers to so many, or to those that there are where they are more.

    `said` is the number's name in the answer, where that is another one than the column's.
    """
    return (
        Range(
            name=f"most-{field.replace('_', '-')}",
            field=field,
            low=least,
            high=most,
            # A fleet that nobody knows counts as small.
            when=Comparison(left=WORKERS_NOW, op="<=", right=most, if_missing=True),
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message=f"More than {most:g} workers{f' in {said}' if said else ''} take an operator's "
            "approval.",
        ),
        Relation(
            name=f"no-growth-{field.replace('_', '-')}",
            lesser=field,
            greater=WORKERS_NOW,
            when=Comparison(left=WORKERS_NOW, op=">", right=most),
            level=Level.UNSAFE,
            repair=Repair.CLAMP,
            message=f"A fleet of more than {most:g} workers grows only with an operator's "
            "approval.",
        ),
    )
