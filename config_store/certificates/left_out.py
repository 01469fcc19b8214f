"""Finds entries of a step that are in the archive and in no look of its certificate.

Who leaves out what speaks against a verdict can make a certificate of the rest that recomputes.
There are honest reasons too: an entry from a gateway's spool comes when the step is long over. So
the step is judged again with them, each at the first look that was after it, and what counts is
whether that changes the verdict.
"""

from collections.abc import Iterable, Sequence

from config_store.certificates.certificate import Certificate
from config_store.certificates.examination import Examination
from config_store.certificates.recompute import Refuted, Verified
from config_store.certificates.without_rows import concluded
from observability.ledger.entry import Entry

Range = tuple[str, int, int]
"""A writer, and its first and last entry."""


def left_out(certificate: Certificate, there: Iterable[Range]) -> list[Range]:
    """Name what is there of the step, and not in the certificate."""
    named: dict[str, tuple[int, int]] = {}
    for span in (span for look in certificate.looks for span in look.spans):
        first, last = named.get(span.writer, (span.first, span.through))
        named[span.writer] = min(first, span.first), max(last, span.through)
    found = list[Range]()
    for writer, first, last in there:
        if writer not in named:
            found.append((writer, first, last))
            continue
        begin, end = named[writer]
        if first < begin:
            found.append((writer, first, begin - 1))
        if last > end:
            found.append((writer, end + 1, last))
    return found


def judged_with_all(
    certificate: Certificate, named: Iterable[Entry], more: Sequence[Entry]
) -> Verified | Refuted:
    """Judge the step by the entries that the certificate names and by those it leaves out."""
    by_place = {(each.header.writer, each.header.seq): each for each in named}
    count, waiting = len(by_place), list(more)
    examination = Examination(certificate.plan)
    for look in certificate.looks:
        own = [
            by_place[span.writer, seq]
            for span in look.spans
            for seq in range(span.first, span.through + 1)
        ]
        late = [each for each in waiting if each.header.created_ms < look.at * 1000]
        waiting = [each for each in waiting if each.header.created_ms >= look.at * 1000]
        found = examination.look(look.at, [*own, *late])
    verdict, reason = concluded(certificate.plan, found.verdict, found.reason, certificate.counted)
    if verdict is certificate.verdict:
        return Verified(certificate, count)
    writers = ", ".join(sorted({each.header.writer for each in more}))
    return Refuted(
        f"{len(more):,} entries of {writers} were written during the step and are in no look "
        f"of the certificate. With them the step is {verdict} ({reason})."
    )
