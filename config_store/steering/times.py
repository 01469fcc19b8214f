"""By whose clock a change is made, and until when it may be written."""

from config_store.errors import RefusedChangeError
from config_store.steering.commands import (
    BY_CLOCK_OF_REDIS,
    Abort,
    Advance,
    Command,
    Deploy,
    EmergencyOff,
    EmergencyOn,
    Expire,
    RollBack,
)

# A time from far ahead would hold every later change to it.
MOST_AHEAD_SECONDS = 300.0
# Their time is never earlier than Redis's clock at the read: a lead counts from the write, and what
# seems to be earlier ends no emergency that a gateway knows and Redis forgot.
LEADING = (Deploy, Advance, EmergencyOff)
# A write that does not come soon after its read is made anew. Who heard that Redis gave no answer,
# which takes `COMMAND_SECONDS` from the write on, tries again: nothing is carried out after that.
SOON_SECONDS = 1.0
# They do the same whenever they come: who asks twice for one has it once.
WHENEVER = (EmergencyOn, Abort, Expire)
LATEST = 1e12  # any time will do
URGENT = (EmergencyOn, RollBack, Abort)


def time_of(commands: tuple[Command, ...], clock: float, now: float) -> float:
    """Refuse a time from far ahead, but never what cannot wait for a clock to be set.

    What time has ended ends by the clock of Redis where the one that was asked by is ahead.
    """
    if commands and all(isinstance(each, Expire) for each in commands):
        return min(now, clock)
    if now > clock + MOST_AHEAD_SECONDS:
        if all(isinstance(each, URGENT) for each in commands):
            return clock
        raise RefusedChangeError(
            f"This clock is {now - clock:.0f} s ahead of the clock of Redis: set it, and try again."
        )
    if any(isinstance(each, BY_CLOCK_OF_REDIS) for each in commands):
        now = min(now, clock)
    return max(now, clock) if _leads(commands) else now


def latest_write(commands: tuple[Command, ...], clock: float) -> float:
    """Give the time of Redis until which a change may be written that was made of this read."""
    if all(isinstance(each, WHENEVER) for each in commands):
        return LATEST
    return clock + SOON_SECONDS


def _leads(commands: tuple[Command, ...]) -> bool:
    return any(isinstance(each, LEADING) for each in commands)
