"""Two clients send bodies of 1,000 extreme-events rows: see what tail-slo takes for another."""

import asyncio
from collections.abc import Sequence

from benchmarks.abuse.noisy_clients import noise
from benchmarks.abuse.scenario import Figures
from benchmarks.abuse.victim import Suffered, asks, new_key
from benchmarks.platform import Platform

ROWS, CLIENTS = 1_000, 2
TURNS, TURN_SECONDS = 6, 6.0
PATH = "/models/extreme-events"
ROW = {"entity": "order-gateway", "metric": "p99_ms"}


def measure(platform: Platform) -> Figures:
    """Take turns, so that whatever else the machine does falls on both alike."""
    key = new_key(platform, "the noisy neighbour")
    alone, beside = list[Suffered](), list[Suffered]()
    answered, seconds = 0, 0.0
    for _ in range(TURNS):
        alone.append(asyncio.run(asks(platform, TURN_SECONDS)))
        with noise(platform, key, PATH, {"rows": [ROW] * ROWS}, CLIENTS) as came:
            beside.append(asyncio.run(asks(platform, TURN_SECONDS)))
        answered, seconds = answered + came.answered, seconds + came.seconds
    quiet, noisy = _together(alone), _together(beside)
    return {
        "tail-slo p50 alone, ms": quiet.ms(0.5),
        "tail-slo p50 beside them, ms": noisy.ms(0.5),
        "tail-slo p99 alone, ms": quiet.ms(0.99),
        "tail-slo p99 beside them, ms": noisy.ms(0.99),
        "p99 beside over alone": round(noisy.ms(0.99) / quiet.ms(0.99), 3),
        "tail-slo answered beside them, %": round(noisy.answered_percent, 2),
        "their rows answered, a second": round(answered * ROWS / seconds, 1),
    }


def _together(turns: Sequence[Suffered]) -> Suffered:
    return Suffered(
        [each for turn in turns for each in turn.seconds], sum(turn.unanswered for turn in turns)
    )
