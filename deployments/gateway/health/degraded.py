"""What is not as it should be with a gateway, in sentences: `/status` shows them."""

from collections.abc import Iterator

from access.keys import KeyRing
from config_store.steering.watch import UP_TO_DATE_SECONDS
from config_store.watch import RedisWatch
from deployments.gateway.steering.choice import SteeredChoice
from deployments.gateway.steering.drift import Drift
from deployments.runtime.replica import Replica
from observability.ledger.writer import LedgerWriter

MOST_NAMED = 5


def degraded_reasons(
    replica: Replica,
    ledger: LedgerWriter,
    steered: SteeredChoice,
    drift: Drift,
    keys: RedisWatch[KeyRing],
) -> list[str]:
    """Say what is not as it should be."""
    own = [*_of_redis(replica, ledger), *_of_keys(keys), *_of_steering(replica, steered)]
    return own + drift.reasons() + replica.storage.reasons()


def _of_redis(replica: Replica, ledger: LedgerWriter) -> Iterator[str]:
    if replica.config.stale:
        yield (
            "The configuration may be out of date: Redis cannot be reached, or what it "
            "holds cannot be read"
        )
    if ledger.degraded:
        yield "Redis cannot be reached, and decisions are written to the spool"


def _of_keys(keys: RedisWatch[KeyRing]) -> Iterator[str]:
    if keys.value is not None and (unread := keys.value.unread):
        yield (
            "The records of these API keys cannot be read, and they open nothing: "
            f"{', '.join(unread[:MOST_NAMED])}{' and more' if len(unread) > MOST_NAMED else ''}. "
            "Revoke them, or go on to the release that wrote them"
        )


def _of_steering(replica: Replica, steered: SteeredChoice) -> Iterator[str]:
    if replica.steering.lags:
        yield (
            f"The steering state has not been read for {replica.steering.age_seconds:.0f} "
            "s: this gateway uses the state that it read last, and HAProxy prefers other gateways"
        )
    if (behind := steered.behind_seconds) > UP_TO_DATE_SECONDS:
        yield (
            f"This gateway has used an older steering state for {behind:.0f} s, and HAProxy "
            f"prefers other gateways: {steered.why_behind()}"
        )
    state = replica.steering.value
    if state is not None and (emergency := state.emergency) is not None:
        yield f"Emergency mode is on ({emergency.reason}): every family answers its fallback"
