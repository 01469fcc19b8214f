"""Verifies certificates of a rollout for the command line, from the archive alone.

No server is asked, and nobody who might have reason to lie: the archive is opened here, read, and
the tests are made again.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from config_store.certificates.certificate import Certificate
from config_store.certificates.left_out import Range, judged_with_all, left_out
from config_store.certificates.plan import Plan
from config_store.certificates.recompute import Refuted, Verified, follows, recompute
from config_store.certificates.without_rows import Counted
from launch.audit_command import Verdict
from launch.errors import LaunchError
from launch.usual_plan import differences
from observability.clickhouse import Clickhouse, open_store
from observability.clickhouse.home import MARK
from observability.errors import FolderTakenError, ObservabilityError
from observability.ledger.archive import WINDOW, Archive
from observability.ledger.entry import Entry
from settings.environment import Settings

# A rollout of fifty steps that were looked at for three days each.
MOST_BYTES = 512_000_000
_CERTIFICATES = TypeAdapter(list[Certificate])


async def verify(settings: Settings, file: Path, archive: str | None) -> Verdict:
    """Recompute the certificate in the file, or all of a list of them in their order."""
    certificates = read_certificates(file)
    broken = follows(certificates) if len(certificates) > 1 else None
    if broken is not None:
        return Verdict(sound=False, lines=[broken.sentence])
    return await asyncio.to_thread(_from_archive, settings, certificates, archive)


def read_certificates(file: Path) -> list[Certificate]:
    try:
        with file.open("rb") as opened:
            text = opened.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise LaunchError(f"{file} has more than {MOST_BYTES:,} bytes: it is no certificate.")
        found = orjson.loads(text)
        return _CERTIFICATES.validate_python(found if isinstance(found, list) else [found])
    except OSError as error:
        raise LaunchError(f"{file} cannot be read: {error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise LaunchError(f"{file} is not JSON: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:])) or "its form"
        raise LaunchError(f"{file} is not a certificate: {place}: {first['msg']}.") from None


def _from_archive(
    settings: Settings, certificates: Sequence[Certificate], archive: str | None
) -> Verdict:
    try:
        store = _open(settings, archive)
        try:
            lines = list[str]()
            for certificate in certificates:
                found, more = _verified(Archive(store), certificate)
                lines.append(_line(certificate, found, more))
                if isinstance(found, Refuted):
                    return Verdict(sound=False, lines=lines)
            return Verdict(sound=True, lines=lines)
        finally:
            store.close()
    except FolderTakenError:
        raise LaunchError(
            "The archive is in use by a platform that runs. End it with `ballast down`, or name a "
            "copy of the archive's folder with --archive."
        ) from None
    except ObservabilityError as error:
        raise LaunchError(f"The archive cannot be read: {error}") from None


def _open(settings: Settings, archive: str | None) -> Clickhouse:
    if archive is not None and "://" in archive:
        return open_store(archive, settings.paths.history)
    if archive is None and settings.clickhouse_url is not None:
        return open_store(settings.clickhouse_url, settings.paths.history)
    folder = settings.paths.history if archive is None else Path(archive)
    if not (folder / MARK).is_file():
        # The engine would begin a new archive there, in which there is nothing.
        raise LaunchError(
            f"{folder} is no archive of decisions. Name its folder, or the URL of its ClickHouse, "
            "with --archive; `ballast archive show` says where it is."
        )
    return open_store(None, folder)


def _verified(archive: Archive, certificate: Certificate) -> tuple[Verified | Refuted, int]:
    """Recompute a certificate, also with what it leaves out; say how many entries that are."""
    found = recompute(certificate, _named(archive, certificate))
    last_look = int(certificate.looks[-1].at * 1000)
    more = left_out(certificate, archive.spans(certificate.plan.begins_ms, last_look))
    if isinstance(found, Refuted) or not more:
        return found, 0
    entries = list(_entries(archive, more))
    return judged_with_all(certificate, _named(archive, certificate), entries), len(entries)


def _named(archive: Archive, certificate: Certificate) -> Iterator[Entry]:
    spans = (span for look in certificate.looks for span in look.spans)
    return _entries(archive, ((span.writer, span.first, span.through) for span in spans))


def _entries(archive: Archive, ranges: Iterable[Range]) -> Iterator[Entry]:
    """Read ranges of entries, each up to where the archive has no more of it."""
    for writer, begin, end in ranges:
        for first in range(begin, end + 1, WINDOW):
            found = archive.window(writer, first, min(first + WINDOW - 1, end))
            yield from found
            if not found:  # a forged end may be as far away as numbers go
                break


def _judged_by(plan: Plan) -> str:
    """Say what was asked: who writes a certificate of his own could have asked for less."""
    margins = ", ".join(f"{each.name} {each.margin:g}" for each in plan.margins.metrics)
    if plan.margins.grouped:  # a busy key counts no more than one that is hardly asked of
        margins += " of a key's minute"
    begun = datetime.fromtimestamp(plan.begins_ms / 1000, UTC)
    of = f" of {plan.family}" if plan.family else ""
    how = "beside it" if plan.design.paired else f"with {100 * plan.design.share:g} % of the keys"
    return (
        f"It asked version {plan.candidate} against {plan.incumbent}, {how}, by the rows{of} from "
        f"{begun:%Y-%m-%d %H:%M:%SZ} on, with the margins {margins} and alpha "
        f"{plan.margins.alpha:.3g}.{_weakened(plan.weakened)}{_unusual(plan)}"
    )


def _unusual(plan: Plan) -> str:
    """Say what this release asks for otherwise out of the box; nothing where that is nothing."""
    found = differences(plan)
    return f" Otherwise than out of the box: {'; '.join(found)}." if found else ""


def _counted(counted: Counted | None) -> str:
    """Say what was counted beside the ledger, which nobody can recompute."""
    if counted is None:
        return " It does not say how many rows got no answer or were refused."
    said = [
        f"{of.lost:,} of {of.asked:,} rows of {whom} got no answer and {of.refused:,} were refused"
        for whom, of in (
            ("the candidate", counted.candidate),
            ("the active version", counted.incumbent),
        )
    ]
    return f" By the gateways' word, of which the ledger has nothing, {', and '.join(said)}."


def _weakened(weakened: Sequence[str]) -> str:
    """Say of what was judged by less than the platform's settings asked for; else nothing."""
    if not weakened:
        return ""
    return f" That is WEAKER than the platform's settings were then: {'; '.join(weakened)}."


def _line(certificate: Certificate, found: Verified | Refuted, more: int) -> str:
    plan = certificate.plan
    what = f"step {plan.step} of the rollout {plan.rollout}"
    if isinstance(found, Refuted):
        return f"{what} is REFUTED. {found.sentence}"
    looks, rows = len(certificate.looks), certificate.looks[-1].rows
    late = (
        f" {more:,} more entries of the step came too late for a look; with them the verdict is "
        "the same."
    )
    return (
        f"{what} is verified: {certificate.verdict}, {certificate.reason}; recomputed from "
        f"{rows:,} rows in {found.entries:,} entries at {looks:,} looks. {_judged_by(plan)}"
        f"{_counted(certificate.counted)} Its hash is {certificate.hash}.{late if more else ''}"
    )
