"""A piece of a replay as it goes through a pipe: rows and documents in, an outcome a row out."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from config_store.document import ConfigDocument
from config_store.store import Version
from deployments.impact.models_again import AskedAgain
from deployments.impact.playing import Playing, last_answer
from deployments.impact.replay import LastAnswer, Rules
from deployments.impact.wire import Outcome, SentRow, SentVersion


class SentWindow(NamedTuple):
    """A freeze, as the columns of time read it."""

    begins: float
    ends: float


def played(
    rows: Sequence[SentRow],
    candidate: SentVersion,
    versions: Sequence[SentVersion],
    freezes: Sequence[tuple[float, float]],
    models: str,
) -> list[Outcome]:
    """Play some rows; what is read and compiled for them is kept for the next piece."""
    windows = tuple(SentWindow(*each) for each in freezes)
    known = {each["number"]: _rules(**each, freezes=windows) for each in versions}
    playing = Playing(_rules(**candidate, freezes=windows), known, AskedAgain(Path(models)))
    lasts = {
        each["id"]: _last(each["row"], each["before"], known)
        for each in rows
        if each["before"] is not None
    }
    found = playing.play([each["row"] for each in rows], lasts)
    return [_sent(outcome, each["id"]) for outcome, each in zip(found, rows, strict=True)]


def _sent(outcome: Outcome, decision_id: str) -> Outcome:
    """Give an outcome as JSON can carry it, which takes no named tuples."""
    sent = Outcome(**outcome)
    sent["id"] = decision_id
    if "changes" in outcome:
        changes = outcome["changes"]
        sent["changes"] = [(name, item, was, now) for name, item, was, now in changes]
    return sent


def _last(row: str, before: Sequence[str], rules: Mapping[int, Rules]) -> LastAnswer | None:
    found = (last_answer(each, row, rules) for each in before)
    return next((each for each in found if each is not None), None)


@lru_cache(maxsize=16)
def _rules(number: int, config_hash: str, document: str, freezes: tuple[SentWindow, ...]) -> Rules:
    read = ConfigDocument.model_validate_json(document)
    made = datetime.fromtimestamp(0, UTC)  # who made it, and when, judges nothing
    return Rules(Version(number, config_hash, "", "", made, read), freezes)
