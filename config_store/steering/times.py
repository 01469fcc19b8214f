"""By whose clock a change is made, and until when it may be written.

It is Redis's, read with the state that the change is made of: one clock for all processes, so that
what they tell of is in the order in which it was made.
"""

from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    Abort,
    Command,
    EmergencyOn,
    Expire,
    RollBack,
)

# Who asks by a clock so wrong would state wrong times too, as of the end of an override.
MOST_AHEAD_SECONDS = 300.0
# A write that does not come soon after its read is made anew. Who heard that Redis gave no answer,
# which takes `COMMAND_SECONDS` from the write on, tries again: nothing is carried out after that.
SOON_SECONDS = 1.0
# They do the same whenever they come: who asks twice for one has it once.
WHENEVER = (EmergencyOn, Abort, Expire)
LATEST = 1e12  # any time will do
URGENT = (EmergencyOn, RollBack, Abort)


def stamp(clock: float, now: float) -> float:
    """Give the time of a change, by Redis's clock and that of who asks.

    Tests that live through days in a moment put their own time in this place.
    """
    del now
    return clock


def time_of(commands: tuple[Command, ...], clock: float, now: float) -> float:
    """Refuse who asks by a clock from far ahead, but never what cannot wait for it to be set."""
    waits = not all(isinstance(each, (*URGENT, Expire)) for each in commands)
    if waits and now > clock + MOST_AHEAD_SECONDS:
        raise RefusedChangeError(
            f"This clock is {now - clock:.0f} s ahead of the clock of Redis: set it, and try again."
        )
    return stamp(clock, now)


def latest_write(commands: tuple[Command, ...], clock: float) -> float:
    """Give the time of Redis until which a change may be written that was made of this read."""
    if all(isinstance(each, WHENEVER) for each in commands):
        return LATEST
    return clock + SOON_SECONDS
