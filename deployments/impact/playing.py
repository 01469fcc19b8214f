"""Plays recorded decisions twice: by the version that answered them, and by another one.

The first comes out as it was recorded, or the decision is left out: then something held that the
record does not tell, and what another version would have made of it is not known.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from deployments.api.endpoint import InferenceEndpoint
from deployments.api.tail import TAIL
from deployments.impact.models_again import CANNOT, AskedAgain, Question, named_by
from deployments.impact.outcome import fits, outcome_of
from deployments.impact.recorded import LeftOutError, Recorded, family_in, read
from deployments.impact.replay import LastAnswer, Numbers, Played, Rules, SafetyInput
from deployments.impact.said import answered, detail, model_said
from deployments.impact.wire import Outcome
from deployments.runtime.batch import Columns
from safety.errors import UnknownFamilyError
from safety.policy import FamilyPolicy

OTHERWISE = (
    "played by the version that answered it, it comes out otherwise than it was recorded: "
    "something held then that is not in the record"
)
NO_FIELD = "a person's override is in it, and the field was not recorded yet"
ITEM_FELL_BACK = "an item of its lists is the fallback's, and what the model said is not recorded"
# A limit on changes reads an answer however old; further back nobody looks for one.
LAST_SECONDS = 3600.0

T = TypeVar("T")
Lasts = Mapping[str, LastAnswer | None]


class _Row(NamedTuple):
    """A decision that came out as it was recorded."""

    to_judge: SafetyInput
    left: Numbers
    played: Played


class Playing:
    """One version over the decisions of others."""

    def __init__(self, candidate: Rules, versions: Mapping[int, Rules], models: AskedAgain) -> None:
        self._candidate = candidate
        self._versions = versions
        self._models = models

    def play(self, rows: Sequence[str], lasts: Lasts) -> list[Outcome]:
        """Give an outcome for each row; `lasts` has what was looked for by the rows' ids."""
        outcomes: dict[int, Outcome] = {}
        groups: dict[Hashable, list[tuple[int, Recorded]]] = {}
        for place, row in enumerate(rows):
            try:
                found = read(row)
            except LeftOutError as why:
                outcomes[place] = Outcome(id="", family=family_in(row), left_out=str(why))
            else:
                kind = (found.is_unanswered, found.is_unchecked, found.emergency)
                key = (found.family.name, found.version, found.config_hash, kind)
                groups.setdefault(key, []).append((place, found))
        for group in groups.values():
            places = [place for place, _ in group]
            played = self._one_by_one([recorded for _, recorded in group], lasts)
            outcomes |= dict(zip(places, played, strict=True))
        return [outcomes[place] for place in range(len(rows))]

    def _one_by_one(self, rows: Sequence[Recorded], lasts: Lasts) -> list[Outcome]:
        """Play rows together; where that fails each by itself, so that one costs no other."""
        try:
            return self._group(rows, lasts)
        except LeftOutError as why:
            return [_left_out(row, str(why)) for row in rows]
        except Exception as error:  # noqa: BLE001 - whatever a record holds, the others are played
            if len(rows) == 1:
                return [_left_out(rows[0], f"it cannot be played: {type(error).__name__}: {error}")]
            return [self._one_by_one([row], lasts)[0] for row in rows]

    def _group(self, rows: Sequence[Recorded], lasts: Lasts) -> list[Outcome]:
        family = rows[0].family
        own = self._own(rows[0])
        self._policy(family)
        outcomes: dict[str, Outcome] = {}
        to_judge, left = list[SafetyInput](), dict[str, Numbers]()
        inputs = _by_row(own.inputs(rows, as_recorded=True), len(rows))
        for row, given in zip(rows, inputs, strict=True):
            try:
                left[row.id] = answered(row, own.judge(family).policy)
                to_judge.append(_safety_input(row, given, left[row.id], own, lasts.get(row.id)))
            except LeftOutError as why:
                outcomes[row.id] = _left_out(row, str(why))
        kept = list[_Row]()
        for each, played in zip(to_judge, own.play(to_judge) if to_judge else (), strict=True):
            row = each.recorded
            if (seconds := self._looks_back(own, row, played, lasts)) is not None:
                outcomes[row.id] = Outcome(id=row.id, needs_last=seconds)
            elif not fits(row, left[row.id], played, own.judge(family).policy):
                outcomes[row.id] = _left_out(row, OTHERWISE)
            elif played.item_fell_back:
                outcomes[row.id] = _left_out(row, ITEM_FELL_BACK)
            else:
                kept.append(_Row(each, left[row.id], played))
        outcomes |= self._by_candidate(kept, own, lasts) if kept else {}
        return [outcomes[row.id] for row in rows]

    def _own(self, row: Recorded) -> Rules:
        own = self._versions.get(row.version)
        if own is None or own.version.config_hash != row.config_hash:
            raise LeftOutError("the version that answered it cannot be read any more")
        try:
            own.judge(row.family)
        except UnknownFamilyError as unknown:
            raise LeftOutError(str(unknown)) from unknown
        return own

    def _policy(self, family: InferenceEndpoint) -> FamilyPolicy:
        try:
            return self._candidate.judge(family).policy
        except UnknownFamilyError as unknown:
            raise LeftOutError("the version has no policy for its family") from unknown

    def _by_candidate(self, rows: Sequence[_Row], own: Rules, lasts: Lasts) -> dict[str, Outcome]:
        """Play rows by the other version, asking the model again where that asks it otherwise."""
        recorded = [each.to_judge.recorded for each in rows]
        family = recorded[0].family
        given = _by_row(self._candidate.inputs(recorded, as_recorded=False), len(rows))
        named = named_by(self._candidate.version.document, family)
        renamed = named != named_by(own.version.document, family)
        outcomes: dict[str, Outcome] = {}
        ready, again = list[tuple[_Row, SafetyInput, bool]](), list[tuple[_Row, Question]]()
        for each, now in zip(rows, given, strict=True):
            to_judge = each.to_judge
            question = Question(to_judge.recorded, to_judge.inputs, now, to_judge.said)
            if not renamed and (question.is_the_same or to_judge.said is None):
                ready.append((each, self._anew(each, now, to_judge.said), False))
            elif family.name == TAIL.name:
                again.append((each, question))
            else:
                outcomes[to_judge.recorded.id] = _left_out(to_judge.recorded, CANNOT)
        questions = [question for _, question in again]
        outputs = own.judge(family).outputs
        answers = self._models.ask(questions, named if renamed else None, outputs)
        for (row, question), said in zip(again, answers, strict=True):
            if isinstance(said, str):
                outcomes[question.recorded.id] = _left_out(question.recorded, said)
            else:
                ready.append((row, self._anew(row, question.now, said), True))
        for part in _parted(ready, lambda each: each[1].said is None):
            played = self._candidate.play([to_judge for _, to_judge, _ in part])
            for (row, _, asked_again), after in zip(part, played, strict=True):
                outcome = self._outcome(row, after, lasts, asked_again=asked_again)
                outcomes[row.to_judge.recorded.id] = outcome
        return outcomes

    def _anew(self, row: _Row, inputs: Numbers, said: Numbers | None) -> SafetyInput:
        recorded = row.to_judge.recorded
        lists = detail(recorded, self._versions[recorded.version].judge(recorded.family).checker)
        return replace(row.to_judge, inputs=inputs, said=said, detail=lists)

    def _outcome(self, row: _Row, after: Played, lasts: Lasts, *, asked_again: bool) -> Outcome:
        recorded = row.to_judge.recorded
        seconds = self._looks_back(self._candidate, recorded, after, lasts)
        if seconds is not None:
            return Outcome(id=recorded.id, needs_last=seconds)
        policy = self._policy(recorded.family)
        return outcome_of(recorded, row.left, row.played, after, policy, asked_again=asked_again)

    def _looks_back(
        self, rules: Rules, row: Recorded, played: Played, lasts: Lasts
    ) -> float | None:
        """Say how far back a row's last safe answer is to be looked for; None where it need not."""
        judge = rules.judge(row.family)
        if row.id in lasts or row.emergency or not judge.remembered:
            return None
        if judge.reads_last:
            return LAST_SECONDS
        limit = judge.policy.rungs.last_safe_seconds
        # The rows that fell back, or have an item that did, may have had a better rung.
        return limit if played.rung != "model" or played.item_fell_back else None


def last_answer(before: str, row: str, rules: Mapping[int, Rules]) -> LastAnswer | None:
    """Read what a decision left to a later one of its entity: its answer, where that was safe."""
    try:
        found, later = read(before), read(row)
    except LeftOutError:
        return None
    own = rules.get(found.version)
    # Those of one batch are answered together, and none is before another.
    if own is None or found.fell_back or found.is_unchecked or found.at >= later.at:
        return None
    judge, level = own.judge(found.family), found.safety["level"]
    # What broke a limit that is acted on left only with its field moved to the limit.
    if level not in ("safe", "warning") and not judge.policy.responses.substitutes(level):
        return None
    inputs = _by_row(own.inputs([found], as_recorded=True), 1)[0]
    return LastAnswer({**inputs, **answered(found, judge.policy)}, later.at - found.at)


def _safety_input(
    row: Recorded, inputs: Numbers, left: Numbers, own: Rules, last: LastAnswer | None
) -> SafetyInput:
    if row.overrides is None:
        raise LeftOutError(NO_FIELD)
    checker = own.judge(row.family).checker
    put = {name: left[name] for name in row.overrides if name in left}
    said = model_said(row, left, checker)
    return SafetyInput(row, inputs, said, detail(row, checker), last, put)


def _by_row(columns: Columns, rows: int) -> list[Numbers]:
    lists = {name: column.tolist() for name, column in columns.items()}
    return [{name: values[at] for name, values in lists.items()} for at in range(rows)]


def _parted(values: Sequence[T], kind: Callable[[T], Hashable]) -> list[list[T]]:
    """Part some by their kind, in the order in which the kinds come."""
    parts: dict[Hashable, list[T]] = {}
    for each in values:
        parts.setdefault(kind(each), []).append(each)
    return list(parts.values())


def _left_out(row: Recorded, why: str) -> Outcome:
    return Outcome(id=row.id, family=row.family.name, version=row.version, left_out=why)
