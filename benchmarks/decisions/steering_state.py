"""What a steering state with 200 lives costs: its size, to read, to change, to choose by it."""

import time
from collections.abc import Callable

from access.keys import Role
from config_store.steering.adoption import found_state
from config_store.steering.commands import (
    Actor,
    Approve,
    Command,
    Deploy,
    Draft,
    EmergencyOn,
    RollBack,
    Validated,
)
from config_store.steering.headers import Header
from config_store.steering.rollouts.shares import choose
from config_store.steering.state import SteeringState, Strategy
from config_store.steering.transitions import apply

LIVES = 200
KEYS = [f"shop {at}" for at in range(1000)]
NOW = 1_772_000_000.0
AUTHOR, APPROVER = Actor("ada", Role.OPERATOR), Actor("bo", Role.APPROVER)


def changed(state: SteeringState, command: Command, by: Actor = AUTHOR) -> SteeringState:
    return apply(state, command, by, NOW).state


def lived() -> SteeringState:
    """Make a state in which every second version was approved, and every fifth one deployed."""
    state = found_state((Header(1, f"{1:064x}", "up", "a fresh machine", NOW),), 1)
    for number in range(2, LIVES + 1):
        content = f"{number:064x}"
        message = "a slower refresh of features, and a longer lane for tail"
        state = changed(state, Draft(number, content, message, state.active))
        state = changed(state, Validated(number, content))
        if number % 2 == 0:
            state = changed(state, Approve(number, content), APPROVER)
        if number % 5 == 0:
            state = changed(state, deploy(state, number, Strategy.BLUE_GREEN))
    return state


def deploy(state: SteeringState, number: int, strategy: Strategy) -> Deploy:
    return Deploy(number, strategy, f"r{number}", state.active, despite_branch=True)


def least_ms(work: Callable[[], object]) -> float:
    found = []
    for _ in range(50):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found) * 1000


def choosing_us(state: SteeringState) -> float:
    """Give what one key costs: milliseconds for a thousand."""
    return least_ms(lambda: [choose(state, key, NOW + 9) for key in KEYS])


def main() -> None:
    state = lived()
    text = state.model_dump_json().encode()
    in_canary = changed(state, deploy(state, LIVES - 1, Strategy.CANARY))
    print(f"{len(state.versions)} lives: {len(text) / 1000:.0f} KB")
    print(f"read      {least_ms(lambda: SteeringState.model_validate_json(text)):.3f} ms")
    print(f"write     {least_ms(state.model_dump_json):.3f} ms")
    print(f"emergency {least_ms(lambda: changed(state, EmergencyOn('wrong'))):.3f} ms")
    print(f"rollback  {least_ms(lambda: changed(state, RollBack('slow'))):.3f} ms")
    print(
        f"choose    {choosing_us(state):.2f} us a key, in a canary {choosing_us(in_canary):.2f} us"
    )


if __name__ == "__main__":
    main()
