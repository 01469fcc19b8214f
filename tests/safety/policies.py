"""Random policies over a handful of columns, and rows that are often nearly right."""

import math
from typing import Any

from hypothesis import strategies as st

from safety.limits import Level, Repair
from safety.policy import FamilyPolicy

INPUTS, OUTPUTS = ("a", "b"), ("x", "y", "kind")
BESIDE = ("last.x", "last.age_seconds", "time.frozen", "parameter.p", "parameter.q")
COLUMNS = INPUTS + OUTPUTS + BESIDE
KINDS = ("calm", "busy", "gone")
# What the constants of the fallback are: the ranges of outputs are drawn around it.
ANSWERED = 1.0

SMALL = st.sampled_from([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 2.5, 10.0])
VALUE = SMALL | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324])
# Rows of which most break nothing.
CALM = st.sampled_from([0.5, 1.0, 1.0, 2.0])
CALM_ROWS = st.lists(
    st.fixed_dictionaries(
        dict.fromkeys((*INPUTS, "x", "y"), CALM)
        | {"kind": st.sampled_from([0.0, 1.0, 2.0])}
        | dict.fromkeys(BESIDE, SMALL | st.just(math.nan))
    ),
    max_size=3,
)
ROWS = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, VALUE | SMALL)), max_size=5)

_NAME = st.sampled_from(COLUMNS)
_COMPARISON = st.builds(
    lambda left, op, right, missing: {
        "left": left,
        "op": op,
        "right": right,
        "if_missing": missing,
    },
    _NAME,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    SMALL | _NAME,
    st.booleans(),
) | st.builds(
    lambda op, right: {"left": "kind", "op": op, "right": right},
    st.sampled_from(["==", "!="]),
    st.sampled_from(KINDS),
)


def _joined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda key, joined: {key: joined},
        st.sampled_from(["all", "any"]),
        st.lists(parts, min_size=1, max_size=3),
    )


CONDITION = _COMPARISON | _joined(_COMPARISON | _joined(_COMPARISON))
_ACTING = st.sampled_from([Level.UNSAFE, Level.CRITICAL])


@st.composite
def _shared(draw: st.DrawFn, repairs: tuple[Repair, ...]) -> dict[str, Any]:
    """Draw what all limits have; what is drastic needs a level at which something is done."""
    repair = draw(st.sampled_from(repairs))
    plain = repair in (Repair.CLAMP, Repair.FALLBACK)
    level = draw(st.sampled_from(list(Level)) if plain else _ACTING)
    when = draw(st.none() | CONDITION)
    return {"repair": repair, "level": level, "when": when, "message": "m"}


def _allowed(names: tuple[str, ...], clampable: bool) -> tuple[Repair, ...]:
    found = [Repair.REFUSE, Repair.EMERGENCY]
    if not any(name.startswith("parameter.") for name in names):
        found.append(Repair.FALLBACK)
    if clampable:
        found.append(Repair.CLAMP)
    return tuple(found)


def _answers(names: tuple[str, ...]) -> int:
    return sum(name in OUTPUTS or name.startswith("parameter.") for name in names)


@st.composite
def _range(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(_NAME.filter(lambda each: each != "kind"))
    low = draw(st.none() | SMALL.filter(lambda each: name not in OUTPUTS or each < ANSWERED))
    floor = ANSWERED if name in OUTPUTS else -math.inf if low is None else low
    high = draw(SMALL.filter(lambda each: each >= floor))
    shared = draw(_shared(_allowed((name,), _answers((name,)) == 1)))
    above = low is not None and draw(st.booleans())
    return {"field": name, "low": low, "high": high, "above_low": above} | shared


@st.composite
def _relation(draw: st.DrawFn) -> dict[str, Any]:
    lesser, greater = draw(st.lists(_NAME, min_size=2, max_size=2, unique=True))
    names = (lesser, greater)
    shared = draw(_shared(_allowed(names, _answers(names) == 1)))
    factor, margin = draw(st.sampled_from([1.0, 0.5, 3.0])), draw(SMALL)
    return {"lesser": lesser, "greater": greater, "factor": factor, "margin": margin} | shared


@st.composite
def _width(draw: st.DrawFn) -> dict[str, Any]:
    shared = draw(_shared((Repair.FALLBACK, Repair.REFUSE, Repair.EMERGENCY)))
    most = draw(st.sampled_from([0.5, 2.0]))
    return {"prediction": "x", "lower": "a", "upper": "y", "max_relative": most} | shared


@st.composite
def _change(draw: st.DrawFn) -> dict[str, Any]:
    shared = draw(_shared(_allowed(("x",), True)))
    per = draw(st.none() | st.sampled_from([0.5, 60.0]))
    amount = st.none() | st.sampled_from([0.0, 0.5, 2.0])
    found = {name: draw(amount) for name in ("rise", "fall")}
    if per is None:
        found |= {name: draw(amount) for name in ("rise_share", "fall_share")}
    if all(each is None for each in found.values()):
        found["rise"] = 1.0
    return {"field": "x", "per_seconds": per} | found | shared


@st.composite
def _forbidden(draw: st.DrawFn) -> dict[str, Any]:
    shared = draw(_shared((Repair.FALLBACK, Repair.REFUSE, Repair.EMERGENCY)))
    name = draw(st.sampled_from(["frozen", "stop"]))
    return shared | {"name": name, "when": draw(CONDITION)}


def _policies(most: int) -> st.SearchStrategy[FamilyPolicy]:
    """Draw policies with so many limits of each kind."""

    def some(each: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
        return st.lists(each, max_size=most)

    return st.builds(
        _policy,
        whole=st.sampled_from([(), ("x",), ("y", "parameter.p")]),
        ranges=some(_range()),
        relations=some(_relation()),
        widths=some(_width()),
        changes=some(_change()),
        forbidden=some(_forbidden()),
    )


def _policy(whole: tuple[str, ...], **limits: list[dict[str, Any]]) -> FamilyPolicy:
    fallback = [{"kind": "constant", "field": name, "value": ANSWERED} for name in OUTPUTS]
    return FamilyPolicy.model_validate(
        {
            "inputs": INPUTS,
            "outputs": OUTPUTS,
            "codes": {"kind": KINDS},
            "whole": whole,
            "fallback": fallback,
            **limits,
        }
    )


POLICY = _policies(3)
# Of one limit a kind at most, which most rows keep.
SMALL_POLICY = _policies(1)
