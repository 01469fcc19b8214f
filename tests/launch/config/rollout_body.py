"""A rollout and looks at its step, as the endpoints answer them."""

from typing import Any

ROLLOUT: dict[str, Any] = {
    "id": "r1",
    "strategy": "canary",
    "candidate": 8,
    "incumbent": 7,
    "shares": [0.01, 0.05, 0.25, 1.0],
    "step": 1,
    "step_begun": 100.0,
    "step_deadline": 500.0,
    "ends": 3700.0,
    "by": "olga",
    "verdict": "unknown",
    "note": "p99_ms: there is not enough evidence yet",
    "certificates": [],
    "weakened": [],
    "outcome": None,
    "settings": {
        "evidence": True,
        "margins": [
            {"metric": "p99_ms", "relative": 0.1, "absolute": None},
            {"metric": "violation_rate", "relative": None, "absolute": 0.005},
        ],
    },
}


def answer(now: float, *, judged: bool = True, **changes: Any) -> dict[str, Any]:
    first_look = 195.0 if judged else None
    rollout = {"rollout": ROLLOUT | changes, "share": 0.05, "judged": judged}
    return {"active": 7, "last": None, "now": now, "first_look": first_look} | rollout


def ended(**changes: Any) -> dict[str, Any]:
    last = ROLLOUT | changes
    nothing = {"rollout": None, "share": 0.0, "judged": False, "first_look": None}
    return {"active": 7, "last": last, "now": 600.0} | nothing


def point(
    number: int,
    p99: tuple[float | None, float | None],
    violations: tuple[float | None, float | None] = (None, None),
    verdict: str = "unknown",
) -> dict[str, Any]:
    return {
        "rollout": "r1",
        "step": 1,
        "number": number,
        "at": 60.0 * number,
        "rows": 100 * number,
        "verdict": verdict,
        "reason": "",
        "metrics": {
            "p99_ms": _metric(p99, verdict),
            "violation_rate": _metric(violations, "unknown"),
        },
    }


def _metric(ends: tuple[float | None, float | None], verdict: str) -> dict[str, Any]:
    lower, upper = ends
    return {"verdict": verdict, "bad": 0.123, "good": 1.7, "lower": lower, "upper": upper}
