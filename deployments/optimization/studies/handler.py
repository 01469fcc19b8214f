"""Studies by name: what was asked and told in each, and how its log brings it back."""

from collections.abc import Sequence

from deployments.optimization.studies import responses
from deployments.optimization.studies.beginning import UnfitError, in_order, invalid, steps
from deployments.optimization.studies.cheap_suggestions import Suggested, cheap, starting
from deployments.optimization.studies.events import (
    DELETED,
    Event,
    TrialAsked,
    TrialGiven,
    TrialTold,
)
from deployments.optimization.studies.operations import AskTrial, Operation, TellTrial
from deployments.optimization.studies.state import (
    KeptStudy,
    Running,
    apply,
    pack,
    size_of,
    unpack,
)
from deployments.optimization.studies.suggestion_queue import SuggestionQueue
from deployments.runtime.batch import Refusal
from deployments.runtime.state.handler import Reply, StateRequest
from deployments.runtime.state.operations import Withdraw
from models.errors import TrialError

COLUMNS = ("expected_improvement", "lower", "upper")


class StudyHandler:
    kind = "study"
    columns = COLUMNS

    def __init__(self, suggestions: SuggestionQueue) -> None:
        self._suggestions = suggestions

    def fresh(self, key: str) -> KeptStudy:
        return KeptStudy(key)

    def encode(self, state: KeptStudy) -> bytes:
        return pack(state)

    def decode(self, key: str, saved: bytes) -> KeptStudy:
        return unpack(key, saved)

    def release(self, state: KeptStudy) -> None:
        self._suggestions.forget(state.name)
        state.running = None

    def size(self, state: KeptStudy) -> int:
        return size_of(state)

    def give_back(self) -> None:
        """Hold nothing beside the states themselves."""

    def replay(self, tails: Sequence[tuple[KeptStudy, list[Event]]]) -> None:
        for kept, events in tails:
            for event in events:
                apply(kept, event)

    def answer(
        self, rows: Sequence[tuple[KeptStudy, StateRequest[Operation]]]
    ) -> list[Reply[Event]]:
        return [self._answer(kept, request) for kept, request in rows]

    def removal(self, request: StateRequest[Operation]) -> Reply[Event] | None:
        return _deleted(request.key) if request.ask["op"] == "delete" else None

    def repeat_reply(self, state: KeptStudy, request: StateRequest[Operation]) -> Reply[Event]:
        """Answer from what is kept: nothing is asked or told a second time."""
        running, ask = state.running, request.ask
        if ask["op"] == "withdraw":
            return Reply()
        if running is not None and ask["op"] == "tell":
            return responses.reply_to_tell(running, running.study.trial(ask["trial"]))
        if running is None or request.id not in running.asked:
            return self._look(state, ask)
        return _suggested_before(running, running.asked[request.id])

    def withdraw(self, state: KeptStudy, request: StateRequest[Operation]) -> Event | None:
        """Keep the trial for whoever asks next."""
        if request.ask["op"] != "ask":
            return None
        return _withdraw(state, [request.id])

    def unavailable(self, _: StateRequest[Operation]) -> Refusal | None:
        return {
            "code": "unavailable",
            "message": (
                "The studies' log in Redis cannot be reached, and nothing was accepted: send "
                "it again"
            ),
        }

    def _answer(self, kept: KeptStudy, request: StateRequest[Operation]) -> Reply[Event]:
        ask = request.ask
        try:
            if ask["op"] == "ask":
                return self._ask(kept, request.id, ask)
            if ask["op"] == "tell":
                return self._tell(kept, ask)
            if ask["op"] == "withdraw":
                return _withdrawn(kept, ask)
        except UnfitError as unfit:
            return Reply(refusal=unfit.refusal)
        return self._look(kept, ask)

    def _ask(self, kept: KeptStudy, decision_id: str, ask: AskTrial) -> Reply[Event]:
        before = steps(kept.running, ask)
        if before:
            apply(kept, before)
        if (running := kept.running) is None:
            return Reply(refusal=_no_study(kept.name))
        if running.withdrawn:
            return _given(kept, running, decision_id, before)
        if running.left == 0:
            return Reply(refusal=_none_left(running), event=before or None)
        try:
            suggestion = self._taken(kept.name, running)
            wanted = TrialAsked(decision_id, suggestion.parameters, suggestion.gain)
            event: Event = {"ask": list(wanted)}
            apply(kept, event)
        except TrialError as error:  # the trials that a study may have
            why: Refusal = {"code": "conflict", "message": str(error)}
            return Reply(refusal=why, event=before or None)
        self._suggestions.want(kept.name, running)
        reply = responses.reply_to_ask(running, running.study.trials[-1], suggestion)
        reply.event = before | event
        return reply

    def _taken(self, name: str, running: Running) -> Suggested:
        """Take from the queue; from a list of candidates each only once."""
        if starting(running):
            return cheap(running)
        while suggestion := self._suggestions.take(name):
            if running.open_to(suggestion.parameters):
                return suggestion
        return cheap(running)

    def _tell(self, kept: KeptStudy, ask: TellTrial) -> Reply[Event]:
        running = kept.running
        if running is None:
            return Reply(refusal=_no_study(kept.name))
        number, trials = ask["trial"], running.study.trials
        if number >= len(trials):
            message = (
                f"There is no trial {number}: the study has {len(trials)} trials, numbered from 0"
            )
            return Reply(refusal={"code": "not_found", "message": message})
        if trials[number].state != "pending":
            message = f"Trial {number} already has an outcome"
            return Reply(refusal={"code": "conflict", "message": message})
        limits = in_order(ask["constraints"], running.study.design.constraints, "constraints")
        event: Event = {"tell": list(TrialTold(number, ask["values"], limits, ask["failed"]))}
        try:
            apply(kept, event)
        except TrialError as error:
            field = "constraints" if "constraints" in str(error) else "value"
            raise invalid(field, str(error)) from error
        self._suggestions.want(kept.name, running)
        reply = responses.reply_to_tell(running, trials[number])
        reply.event = event
        return reply

    def _look(self, kept: KeptStudy, ask: Operation) -> Reply[Event]:
        """Answer what changes nothing; a trial that was asked for long ago shows the study."""
        if kept.running is None:
            return Reply(refusal=_no_study(kept.name))
        if ask["op"] == "delete":
            return _deleted(kept.name)
        if ask["op"] == "wake":
            self._suggestions.want(kept.name, kept.running)
            return Reply()
        return Reply(detail={"data": responses.describe(kept.running, kept.name)})


def _withdrawn(kept: KeptStudy, ask: Withdraw) -> Reply[Event]:
    """Take trials back; those that a policy refused it would refuse once more, so they stay."""
    return Reply(event=_withdraw(kept, ask["decisions"]) if ask["reusable"] else None)


def _withdraw(kept: KeptStudy, decisions: Sequence[str]) -> Event | None:
    running = kept.running
    known = [] if running is None else [each for each in decisions if each in running.asked]
    if not known:
        return None
    event: Event = {"withdraw": known}
    apply(kept, event)
    return event


def _given(kept: KeptStudy, running: Running, decision_id: str, before: Event) -> Reply[Event]:
    """Give a trial that was suggested before, and that nobody was given."""
    number = running.withdrawn[0]
    event: Event = {"given": list(TrialGiven(decision_id, number))}
    apply(kept, event)
    reply = _suggested_before(running, number)
    reply.event = before | event
    return reply


def _suggested_before(running: Running, number: int) -> Reply[Event]:
    trial = running.study.trials[number]
    suggestion = Suggested(trial.parameters, "model", running.settled, gain=trial.gain)
    return responses.reply_to_ask(running, trial, suggestion)


def _deleted(name: str) -> Reply[Event]:
    return Reply(detail={"data": {"deleted": name}}, event=DELETED, deletes=True)


def _no_study(name: str) -> Refusal:
    return {
        "code": "not_found",
        "message": f"There is no study {name}: its first request creates it",
    }


def _none_left(running: Running) -> Refusal:
    count = len(running.study.design.candidates)
    return {
        "code": "conflict",
        "message": (
            f"All {count} candidates have been suggested: report the outcomes of the pending "
            "trials, or create another study with more candidates"
        ),
    }
