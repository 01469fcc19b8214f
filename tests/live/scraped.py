"""What the live tests of sources share: what is scraped, how a source is, how old features are."""

import time
from datetime import datetime
from typing import Any

import httpx

from config_store.store import ConfigStore
from settings.redis_connection import open_redis
from tests.deploying import deployed
from tests.live.conftest import Live, answer_of

# Of an interval, and between two scrapes of it.
CADENCE, SCRAPE = 15, 3
Answer = dict[str, Any]


def scrape_config(targets: dict[str, str]) -> str:
    """Give the configuration of a Prometheus that scrapes these, by the names of their jobs."""
    jobs = "".join(
        f"  - job_name: {job}\n    static_configs: [{{targets: ['{target}']}}]\n"
        for job, target in targets.items()
    )
    return f"global: {{scrape_interval: {SCRAPE}s}}\nscrape_configs:\n{jobs}"


def source(client: httpx.Client, name: str) -> Answer:
    """Give how a source is; empty where there is none of the name."""
    found: list[Answer] = client.get("/sources").json()["sources"]
    return next((each for each in found if each["name"] == name), {})


def timeline(client: httpx.Client, kind: str) -> list[Answer]:
    found: list[Answer] = client.get("/timeline", params={"kind": kind}).json()["events"]
    return found


def tail(client: httpx.Client, entity: str) -> Answer:
    return answer_of(client, {"entity": entity, "error_rate": 0.01})


def event_time(answer: Answer) -> float | None:
    """Give when the features of an answer were measured.

    None where they came too late for this answer, which must say that it is degraded.
    """
    meta = answer["meta"]
    if meta["features"]["event_time"] is None:
        assert meta["degraded"], meta
        return None
    return datetime.fromisoformat(meta["features"]["event_time"]).timestamp()


def is_fresh(client: httpx.Client, entity: str, within_s: float = 60.0) -> bool:
    measured = event_time(tail(client, entity))
    return measured is not None and time.time() - measured < within_s


def is_marked(client: httpx.Client, entity: str) -> bool:
    return bool(tail(client, entity)["meta"]["features"]["stale"])


async def call_it_stale_after(live: Live, seconds: float) -> None:
    """Have an interval of a minute marked so soon, that the test need not wait for longer."""
    redis = open_redis(f"unix://{live.redis}")
    try:
        active = await ConfigStore(redis).active()
        features = active.document.features.model_copy(update={"stale_after_seconds": seconds})
        document = active.document.model_copy(update={"features": features})
        await deployed(redis, document, message="soon")
    finally:
        await redis.aclose()
