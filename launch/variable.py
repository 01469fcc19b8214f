"""One variable of the environment that Ray, Serve or a replica reads, and why it is set."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable; None where it is left to Ray, or to the user."""

    name: str
    one_machine: str | None  # {scratch}, {home}, {commands} and the like stand for this run's own
    cluster: str | None  # as the shell of a node reads it
    why: str

    def on_one_machine(self, **places: object) -> str | None:
        return None if self.one_machine is None else self.one_machine.format(**places)


def both(name: str, value: str, why: str) -> Variable:
    return Variable(name, value, value, why)


def one_machine(name: str, value: str, why: str) -> Variable:
    return Variable(name, value, None, why)
