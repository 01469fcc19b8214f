"""When a rollout's step is looked at: at the end of each minute of it, once that is archived."""

MINUTE_MS = 60_000
# Gateways' clocks differ by a second, and a request that was asked before the step began may be
# answered for a while longer, by the version that it was asked of.
SETTLING_SECONDS = 10.0
# What was answered in a minute is in the archive so long after its end; what is later than that is
# taken by the next look.
ARCHIVED_SECONDS = 15.0


def ended_ms(now: float) -> int:
    """Give the end of the last minute that is in the archive as a whole."""
    return int((now - ARCHIVED_SECONDS) * 1000) // MINUTE_MS * MINUTE_MS


def first_look(step_begun: float) -> float:
    """Tell from when on a step that began then can be looked at."""
    counted_ms = int((step_begun + SETTLING_SECONDS) * 1000)
    return (counted_ms // MINUTE_MS + 1) * MINUTE_MS / 1000 + ARCHIVED_SECONDS
