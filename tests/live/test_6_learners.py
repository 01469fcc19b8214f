"""Experiments and studies outlive the replica that holds them: nothing is lost or counted twice."""

import os
import signal
import time
from typing import Any

import httpx
import pytest

from tests.live.conftest import PATIENCE_SECONDS, Live, answer_of, answered, eventually

pytestmark = [pytest.mark.live, pytest.mark.timeout(1200)]

HOLDER = "ServeReplica:ballast:optimization"
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


def sent(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send until it is acknowledged, as a client does that is told to come back."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        found = answer_of(client, body, path)
        if not found["safety"]["fallback"]:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} gave no answer of its own in {PATIENCE_SECONDS:g} s")


def kill_holder(live: Live) -> int:
    (victim, *_) = live.pids(HOLDER)
    os.kill(victim, signal.SIGKILL)
    return victim


def back(live: Live, victim: int) -> None:
    eventually(lambda: bool(set(live.pids(HOLDER)) - {victim}))


def test_a_kill_in_mid_experiment_loses_no_reward(live: Live, client: httpx.Client) -> None:
    asked = {"experiment": "quaked", "arms": ["a", "b"], "context": {"load": 0.5}}
    rewarded = 0
    for turn in range(60):
        if turn == 30:
            victim = kill_holder(live)
        decision = sent(client, "/models/bandit", asked)["meta"]["decision_id"]
        feedback = {"decision_id": decision, "reward": 1.0}
        answer = answered(client, "/models/bandit/feedback", feedback)
        # Sent again after a lost answer, it was counted already: then it is refused.
        assert answer.status_code in (200, 409), answer.text
        rewarded += 1
        assert answered(client, "/models/bandit/feedback", feedback).status_code == 409
    back(live, victim)
    shown = client.get("/experiments/quaked").json()
    assert shown["rewards"] == rewarded


def test_a_kill_in_mid_study_loses_no_trial(live: Live, client: httpx.Client) -> None:
    told = 0
    for turn in range(24):
        if turn == 12:
            victim = kill_holder(live)
        asked = sent(client, "/models/bayes-opt", {"study": "quaked", "space": SPACE})
        trial = asked["data"]["trial_id"]
        value = (asked["data"]["parameters"]["x"] - 0.3) ** 2
        body = {"study": "quaked", "trial_id": trial, "value": value}
        answer = answered(client, "/models/bayes-opt/tell", body)
        assert answer.status_code in (200, 409), answer.text
        told += 1
        assert answered(client, "/models/bayes-opt/tell", body).status_code == 409
    back(live, victim)
    shown = client.get("/studies/quaked").json()
    assert shown["trials"] - shown["pending"] == told
