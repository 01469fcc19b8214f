"""Connects the Prometheus that the environment names, at a start at which nothing is connected."""

import asyncio
import shlex
from datetime import UTC, datetime

from config_store import alias_follower
from config_store.errors import ConfigError
from config_store.steering.store import SteeringStore
from config_store.store import ConfigStore
from features.errors import FeatureError
from features.sources.prometheus.proposed import Proposal
from launch import bootstrap
from launch.errors import LaunchError
from launch.sources.change import configuration
from launch.sources.connecting import PrometheusTarget, connect, look_at, prometheus_target
from settings.environment import Settings

NAME = "prometheus"
CADENCE_SECONDS = 60
# Who makes versions without anybody's doing.
OWN = {bootstrap.AUTHOR, alias_follower.AUTHOR}
# A start does not wait for one that hangs for longer.
WITHIN_SECONDS = 60.0
# Without these nothing is answered of a service that is worth a look.
NEEDED = "request_rate"
ONE_OF = ("p95_ms", "p99_ms")


def connect_named(settings: Settings) -> str:
    """Connect what PROMETHEUS_URL names, and say so; else say why not, and which command does.

    Empty where it names nothing, or a source is connected or ever was.
    """
    if settings.prometheus_url is None:
        return ""
    return asyncio.run(_connect(settings, settings.prometheus_url, datetime.now(UTC)))


async def _connect(settings: Settings, url: str, now: datetime) -> str:
    if not await _is_fresh(settings):
        return ""
    try:
        target = prometheus_target(NAME, url, CADENCE_SECONDS, None)
        async with asyncio.timeout(WITHIN_SECONDS):
            proposal = await look_at(target, None, now)
        if lacking := _lacking(proposal):
            return _by_hand(target.url, lacking)
        await connect(settings, NAME, target.source(proposal.mapping), now)
    except TimeoutError:
        return _by_hand(url, f"it was not looked through within {WITHIN_SECONDS:.0f} s")
    except (FeatureError, LaunchError) as error:
        return _by_hand(url, str(error).rstrip("."))
    return _connected(target, proposal)


async def _is_fresh(settings: Settings) -> bool:
    """Tell whether the configuration is the shipped one, which nobody has changed yet.

    That the platform pinned its models is nobody's change.
    """
    async with configuration(settings) as redis:
        named = (await ConfigStore(redis).active()).document.sources.named
        try:
            lives = (await SteeringStore(redis).read()).versions.values()
        except ConfigError:  # it has to be repaired first
            return False
    return not named and {each.author for each in lives} <= OWN


def _lacking(proposal: Proposal) -> str:
    """Say what the services lack for answers; empty where the mapping is complete enough."""
    there = {each.metric for each in proposal.chosen if each.newest}
    lacking = [] if NEEDED in there else [NEEDED]
    if not there & set(ONE_OF):
        lacking.append(" or ".join(ONE_OF))
    if not lacking:
        return ""
    why = f": {proposal.why_silent}" if proposal.why_silent else ""
    return f"{' and '.join(lacking)} was not found there{why}"


def _connected(target: PrometheusTarget, proposal: Proposal) -> str:
    services = len(proposal.entities)
    missing = ", ".join(each.metric for each in proposal.missing)
    return (
        f"PROMETHEUS_URL was connected as the source {NAME}: {target.url} measures {services} "
        f"{'service' if services == 1 else 'services'}, named by the label "
        f"{proposal.mapping.entity}{f'; it lacks {missing}' if missing else ''}. "
        f"`ballast sources check {NAME}` shows what it gives."
    )


def _by_hand(url: str, why: str) -> str:
    # A password in it belongs on no terminal.
    url = "URL" if "@" in url else url
    return (
        f"PROMETHEUS_URL was not connected: {why}. Look at it, and connect it, with "
        f"`ballast connect prometheus {shlex.quote(url)}`."
    )
