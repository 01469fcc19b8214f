"""Recomputes a certificate from the ledger's entries: a pure function, which needs no server."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from config_store.certificates.certificate import FIRST, Certificate, Look, MetricAt, Span
from config_store.certificates.examination import Examination
from config_store.certificates.without_rows import concluded
from observability.ledger.entry import Entry

# Logarithms of evidence may differ by so much between machines.
TOLERANCE = 1e-4

Chains = Mapping[tuple[str, int], list[Entry]]


@dataclass(frozen=True, slots=True)
class Verified:
    """The ledger holds what the certificate says, and the tests come to its verdict."""

    certificate: Certificate
    entries: int


@dataclass(frozen=True, slots=True)
class Refuted:
    """What does not fit, and where."""

    sentence: str


class _RefutedError(Exception):
    """Carries the sentence out of the depth of a look."""


def recompute(certificate: Certificate, entries: Iterable[Entry]) -> Verified | Refuted:
    """Replay the step from the entries that the certificate names."""
    found = certificate.content_hash()
    if found != certificate.hash:
        return Refuted(
            f"The certificate was changed after it was written: it has the hash {found[:16]}, and "
            f"says {certificate.hash[:16]}."
        )
    # Before anything is read: a forged span may name more entries than anybody could read.
    if (gap := _gap(certificate)) is not None:
        return gap
    chains: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        chains.setdefault((entry.header.writer, entry.header.seq), []).append(entry)
    try:
        return Verified(certificate, _replay(certificate, chains))
    except _RefutedError as refuted:
        return Refuted(str(refuted))


def follows(certificates: Iterable[Certificate]) -> Refuted | None:
    """Say where certificates of a rollout, in the order of its steps, do not follow each other."""
    before = FIRST
    for at, certificate in enumerate(certificates, start=1):
        if certificate.before != before:
            return Refuted(
                f"Certificate {at} (step {certificate.plan.step}) does not follow the one before "
                f"it: it was written after {certificate.before[:16] or 'none'}, and here it comes "
                f"after {before[:16] or 'none'}. One was changed, taken out or put in."
            )
        before = certificate.hash
    return None


def _gap(certificate: Certificate) -> Refuted | None:
    """Say where a writer's spans do not continue each other."""
    last: dict[str, int] = {}
    for number, look in enumerate(certificate.looks, start=1):
        where = f"Look {number} of {len(certificate.looks)}"
        for span in look.spans:
            expected = last.get(span.writer, span.first - 1) + 1
            if span.first < expected:
                return Refuted(f"{where}: entry {span.first} of {span.writer} is named twice.")
            if span.first > expected:
                return Refuted(
                    f"{where}: entries {expected} to {span.first - 1} of {span.writer} are left "
                    "out of the certificate."
                )
            last[span.writer] = span.through
    return None


def _replay(certificate: Certificate, chains: Chains) -> int:
    try:
        examination = Examination(certificate.plan)
    except ValueError as untested:
        raise _RefutedError(f"Nobody can judge by its plan: {untested}.") from untested
    last: dict[str, Entry] = {}
    count = 0
    for number, look in enumerate(certificate.looks, start=1):
        where = f"Look {number} of {len(certificate.looks)}"
        seen = [entry for span in look.spans for entry in _entries(where, span, chains, last)]
        count += len(seen)
        _compare(where, look, examination.look(look.at, seen))
    end = certificate.looks[-1]
    verdict, reason = concluded(certificate.plan, end.verdict, end.reason, certificate.counted)
    if (certificate.verdict, certificate.reason) != (verdict, reason):
        raise _RefutedError(
            f"The certificate says {certificate.verdict} ({certificate.reason}), and its last "
            f"look, with the rows that it counts beside the ledger, {verdict} ({reason})."
        )
    return count


def _entries(where: str, span: Span, chains: Chains, last: dict[str, Entry]) -> Iterator[Entry]:
    """Give the entries of a span, which must be those that were hashed, in one unbroken chain."""
    for seq in range(span.first, span.through + 1):
        entry = _only(where, span.writer, seq, chains.get((span.writer, seq), []))
        before = last.get(span.writer)
        if before is not None and entry.prev_hash != before.entry_hash:
            raise _RefutedError(
                f"{where}: entry {seq} of {span.writer} does not continue the one before it."
            )
        last[span.writer] = entry
        yield entry
    if last[span.writer].entry_hash.hex() != span.entry_hash:
        raise _RefutedError(
            f"{where}: entry {span.through} of {span.writer} is not the one that was judged; the "
            "ledger was written anew."
        )


def _only(where: str, writer: str, seq: int, found: list[Entry]) -> Entry:
    if not found:
        raise _RefutedError(
            f"{where}: entry {seq} of {writer} is not in the archive. It was removed, or not "
            "moved there yet if the step ended only now."
        )
    if len({entry.entry_hash for entry in found}) > 1:
        raise _RefutedError(f"{where}: two different entries are number {seq} of {writer}.")
    if not found[0].intact:
        raise _RefutedError(
            f"{where}: entry {seq} of {writer} was altered: its rows do not match their hashes."
        )
    return found[0]


def _compare(where: str, said: Look, found: Look) -> None:
    if said.rows != found.rows:
        raise _RefutedError(
            f"{where}: the ledger has {found.rows:,} rows of both arms, and the certificate "
            f"counts {said.rows:,}."
        )
    if more := said.metrics.keys() - found.metrics.keys():
        raise _RefutedError(f"{where}: the step was not judged by {', '.join(sorted(more))}.")
    for name, metric in found.metrics.items():
        _compare_metric(f"{where}, {name}", said.metrics.get(name), metric)
    if not _near(said.share_evidence or 0.0, found.share_evidence or 0.0):
        raise _RefutedError(f"{where}: the check of the sample ratio comes to another result.")
    if (said.verdict, said.reason, said.seen_by_both) != (
        found.verdict,
        found.reason,
        found.seen_by_both,
    ):
        raise _RefutedError(
            f"{where}: the tests say {found.verdict} ({found.reason}), and the certificate says "
            f"{said.verdict} ({said.reason})."
        )


def _compare_metric(where: str, said: MetricAt | None, found: MetricAt) -> None:
    if said is None:
        raise _RefutedError(f"{where}: the certificate leaves this metric out.")
    for side in ("bad", "good"):
        one, other = getattr(said, side), getattr(found, side)
        if not _near(one, other):
            raise _RefutedError(
                f"{where}: the evidence for {side} is {other:.4f}, and the certificate says "
                f"{one:.4f}."
            )
    if not all(map(_near, said.by_keys or (0.0, 0.0), found.by_keys or (0.0, 0.0))):
        raise _RefutedError(f"{where}: the test by keys comes to another result.")
    counts = (*said.values, *said.missing), (*found.values, *found.missing)
    if not all(map(_near, *counts)) or said.verdict is not found.verdict:
        raise _RefutedError(
            f"{where}: the ledger has {found.values[0]:g} and {found.values[1]:g} values and the "
            f"verdict {found.verdict}, the certificate {said.values[0]:g} and "
            f"{said.values[1]:g} and {said.verdict}."
        )


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(1.0, abs(other))
