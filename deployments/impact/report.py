"""The report of a replay: what changes, how sure that is, and what it says nothing about."""

from collections.abc import Mapping, Sequence

from config_store.document import ConfigDocument
from deployments.api.impact import ImpactReport, ImpactShown
from deployments.impact.tally import Tally
from deployments.impact.unplayed import not_replayed

NOTES = [
    "What a policy refused has no decision that was recorded, so it is not among these.",
    (
        "Each decision is played by itself: the last safe answer before it is the one that was "
        "given, not the one that the version would have given."
    ),
    "Freezes that have ended are not known, which matters only to a limit that reads time.frozen.",
]


def report_of(
    job: ImpactShown,
    tally: Tally,
    recorded: Mapping[str, int],
    answered_by: Sequence[ConfigDocument],
    candidate: ConfigDocument,
) -> ImpactReport:
    """Report a replay; `recorded` counts what was there to be drawn, by family."""
    # Who recorded a decision twice makes the count larger than what there is to draw.
    whole = job.drawn < job.rows and tally.read >= job.drawn
    total = sum(recorded.values())
    return ImpactReport(
        recorded=tally.read if whole else total,
        drawn=job.drawn,
        read=tally.read,
        replayed=tally.replayed,
        whole=whole,
        sample=_how(job, tally, whole=whole),
        changed=tally.changed(None if whole else total),
        flipped=tally.flipped(None if whole else total),
        families=tally.families(None if whole else recorded),
        versions=tally.versions,
        left_out=tally.left_out(),
        not_replayed=not_replayed(answered_by, candidate),
        notes=NOTES,
    )


def _how(job: ImpactShown, tally: Tally, *, whole: bool) -> str:
    """Say how the rows were drawn."""
    if whole:
        return "every decision of that time was read"
    left = f"; {tally.read} of {job.drawn} drawn came to their turn"
    return (
        "a simple random sample without replacement: the decisions whose ids, hashed with the "
        f"version's hash {job.config_hash[:12]}, come first"
        f"{'' if tally.read >= job.drawn else left}"
    )
