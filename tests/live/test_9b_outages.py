"""Sources that are slow, gone, or empty again: stale marks and the breaker, and answers go on.

It takes the place of whatever sources an earlier file connected, and makes its own. A client asks
all the while; `make outage` leaves every source down for ten minutes.
"""

import asyncio
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import pytest

from tests.candle_server import CandleServer, candle, upstream
from tests.little_service import LittleService
from tests.live.conftest import Live, answer_of, eventually
from tests.live.scraped import (
    CADENCE,
    Answer,
    call_it_stale_after,
    event_time,
    is_fresh,
    is_marked,
    scrape_config,
    source,
    tail,
    timeline,
)
from tests.node_exporter import running as node_exporter
from tests.prometheus_server import PrometheusServer, running
from tests.slow_front import SlowFront
from tests.slow_front import running as slow_front

DOWN_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "60"))
MINUTE = 60
STALE_SECONDS = 60.0
# The platform waits for 30 s for one answer.
TOO_LATE_SECONDS = 45.0
PATIENT_SECONDS = 400.0
TILL, BOX, COIN = "till", "box", "BTC-USD"
pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(1200 + int(DOWN_SECONDS)),
    pytest.mark.usefixtures("runs_again"),
]


@dataclass(frozen=True, slots=True)
class World:
    """A service and a machine, what scrapes them, and a market."""

    prometheus: PrometheusServer
    front: SlowFront
    machines: PrometheusServer
    market: CandleServer
    config: str


class Asking:
    """A client that asks about a service all the while, and keeps every answer."""

    def __init__(self, live: Live) -> None:
        self.answers: list[Answer] = []
        self.trouble: list[str] = []
        self._live = live
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask_on(self) -> None:
        with self._live.client() as client:
            while not self._over.wait(0.5):
                try:
                    self.answers.append(answer_of(client, {"entity": TILL, "error_rate": 0.01}))
                except (AssertionError, httpx.HTTPError) as error:
                    self.trouble.append(repr(error))


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    begin = int(time.time()) // MINUTE * MINUTE - 180 * MINUTE
    ahead = 180 + int(DOWN_SECONDS) // MINUTE + 120
    candles = [candle(begin + MINUTE * each, traded=600.0) for each in range(ahead)]
    with ExitStack() as undo:
        till = undo.enter_context(LittleService(3.0, rate=20))
        box = undo.enter_context(node_exporter())
        machine = {BOX: f"127.0.0.1:{box}", "prometheus": "ITSELF"}
        config = scrape_config({TILL: f"127.0.0.1:{till.port}", **machine})
        prometheus = undo.enter_context(running(None, config))
        front = undo.enter_context(slow_front(prometheus.port))
        machines = undo.enter_context(running(None, scrape_config(machine)))
        market = undo.enter_context(upstream({COIN: candles}))
        yield World(prometheus, front, machines, market, config)


def events(client: httpx.Client, kind: str, name: str) -> list[Answer]:
    return [each for each in timeline(client, kind) if each["source"] == name]


def feature(client: httpx.Client, entity: str, name: str) -> Answer:
    """Give a value with its times and its mark; without a value until there is one."""
    found = client.get("/features/vector", params={"entity": entity, "features": name})
    if not found.is_success:
        return {"value": None, "event_time": None, "stale": False}
    content: Answer = found.json()["features"][name]
    return content


def is_live(client: httpx.Client, name: str) -> Callable[[], bool]:
    return lambda: source(client, name).get("state") == "live"


def connected(live: Live, client: httpx.Client, name: str, *words: str) -> str:
    """Connect a source, and wait for its first rows; give what was said."""
    done = live.command("connect", *words, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    eventually(is_live(client, name), PATIENT_SECONDS)
    return done.stdout


def proposes(live: Live, url: str, wanted: str) -> Callable[[], bool]:
    """Look whether a Prometheus has been scraped for long enough to propose something."""

    def proposed() -> bool:
        words = ("connect", "prometheus", url, "--name", "look", "--cadence", str(CADENCE))
        shown = live.command(*words, "--dry-run")
        return shown.returncode == 0 and re.search(wanted, shown.stdout) is not None

    return proposed


def test_a_node_exporter_is_scraped_and_mapped(
    live: Live, client: httpx.Client, world: World
) -> None:
    """Where services are it is left out; where it is all there is, it is what is measured."""
    eventually(proposes(live, world.front.url, r"p99_ms\s+1 of 1"), PATIENT_SECONDS)
    options = ("--cadence", str(CADENCE))
    said = connected(
        *(live, client, "shop", "prometheus", world.front.url, "--name", "shop", *options)
    )
    assert re.search(rf"Left out, as they serve no requests: {BOX}", said)
    asyncio.run(call_it_stale_after(live, STALE_SECONDS))
    eventually(proposes(live, world.machines.url, r"cpu\s+\d of \d"), PATIENT_SECONDS)
    said = connected(
        *(live, client, "machines", "prometheus", world.machines.url, "--name", "machines"),
        *options,
    )
    assert "node exporter" in said
    connected(live, client, "market", "candles", world.market.url, "--name", "market")
    for each in client.get("/sources").json()["sources"]:
        if each["name"] not in {"shop", "machines", "market"} and each["kind"] != "demo":
            removed = live.command("sources", "remove", each["name"])
            assert removed.returncode == 0, removed.stderr
    eventually(lambda: is_fresh(client, TILL), PATIENT_SECONDS)

    eventually(lambda: feature(client, BOX, "active_workers")["value"] == 1, PATIENT_SECONDS)
    checked = live.command("sources", "check", "machines").stdout
    assert re.search(r"cpu\s+in \d+% of the rows", checked), checked
    memory = re.search(r"memory\s+in \d+% of the rows, from (\S+) to (\S+)", checked)
    assert memory is not None, checked
    share = "1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)"
    found = httpx.get(f"{world.machines.url}/api/v1/query", params={"query": share}).json()
    by_prometheus = float(found["data"]["result"][0]["value"][1])
    # Of the same machine, some minutes apart.
    assert float(memory[1]) - 0.2 < by_prometheus < float(memory[2]) + 0.2


@pytest.mark.usefixtures("world")
def test_a_candle_is_what_was_traded(client: httpx.Client) -> None:
    def traded() -> Any:
        return feature(client, COIN, "request_rate")["value"]

    eventually(lambda: traded() is not None, PATIENT_SECONDS)
    assert traded() == pytest.approx(1.0)
    assert source(client, "market")["complaints"] == []


def fully_fetched(client: httpx.Client, name: str) -> Answer:
    """Wait until the past of a source is there; from then on rows are of the present alone."""
    eventually(lambda: (source(client, name).get("backfill_share") or 0) >= 1, PATIENT_SECONDS)
    return source(client, name)


def test_a_prometheus_that_answers_late_is_waited_for(
    live: Live, client: httpx.Client, world: World
) -> None:
    fully_fetched(client, "shop")
    with Asking(live) as asking:
        world.front.late_seconds = 1.0
        before = source(client, "shop")["newest"]
        eventually(
            lambda: source(client, "shop")["newest"] >= before + 3 * CADENCE, PATIENT_SECONDS
        )
        assert source(client, "shop")["state"] == "live"
    assert asking.trouble == []
    on_time = [each for each in asking.answers if event_time(each) is not None]
    assert len(on_time) > 0.9 * len(asking.answers)
    marked = [each for each in on_time if each["meta"]["features"]["stale"]]
    # On a machine that is short of time one may be; that it is late alone marks none.
    assert len(marked) < 0.1 * len(on_time)


def test_a_prometheus_that_is_too_slow_opens_the_breaker_and_leaves_no_gap(
    live: Live, client: httpx.Client, world: World
) -> None:
    world.front.late_seconds = 0.0
    eventually(is_live(client, "shop"))
    before = source(client, "shop")
    opened = len(events(client, "breaker_opened", "shop"))
    with Asking(live) as asking:
        world.front.late_seconds = TOO_LATE_SECONDS
        eventually(lambda: source(client, "shop")["state"] == "away", PATIENT_SECONDS)
        assert "took over 30 s" in source(client, "shop")["why"]
        eventually(lambda: len(events(client, "breaker_opened", "shop")) > opened, PATIENT_SECONDS)
        eventually(lambda: is_marked(client, TILL), PATIENT_SECONDS)
        world.front.late_seconds = 0.0
        eventually(lambda: not is_marked(client, TILL), PATIENT_SECONDS)
    assert asking.trouble == []
    assert len(asking.answers) > 20
    eventually(lambda: source(client, "shop")["breaker"] == "closed")
    assert events(client, "source_back", "shop")
    # It was scraped all the while, so every interval of that time is there, once.
    after = source(client, "shop")
    assert after["newest"] > before["newest"]
    assert after["rows"] - before["rows"] == (after["newest"] - before["newest"]) // CADENCE


def test_a_prometheus_that_comes_back_empty_goes_on_where_it_was(
    live: Live, client: httpx.Client, world: World
) -> None:
    appeared = len(events(client, "entity_appeared", "shop"))
    first = entity(client, TILL)["first"]
    with Asking(live) as asking:
        world.prometheus.end()
        eventually(lambda: is_marked(client, TILL), PATIENT_SECONDS)
        eventually(lambda: source(client, "shop")["state"] == "away", PATIENT_SECONDS)
        shutil.rmtree(world.prometheus.folder / "data")
        world.prometheus.start(world.config)
        eventually(lambda: not is_marked(client, TILL), PATIENT_SECONDS)
        eventually(is_live(client, "shop"), PATIENT_SECONDS)
    assert asking.trouble == []
    marks = [bool(each["meta"]["features"]["stale"]) for each in asking.answers]
    assert any(marks)
    # What was known before it lost its store is still there, and the service is no new one.
    assert entity(client, TILL)["first"] == first
    assert len(events(client, "entity_appeared", "shop")) == appeared


def entity(client: httpx.Client, name: str) -> Answer:
    def found() -> list[Answer]:
        page = client.get("/entities", params={"prefix": name}).json()
        return [each for each in page.get("entities", ()) if each["entity"] == name]

    eventually(lambda: bool(found()))
    return found()[0]


@dataclass
class Compared:
    """What answers about one entity say, but for marks, times and the id of each."""

    entity: str
    stale: list[bool] = field(default_factory=list)
    late: int = 0
    said: list[Answer] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        # A fallback is what a deadline that passed is answered by: of the machine, not of sources.
        if event_time(answer) is None or answer["safety"]["fallback"]:
            self.late += 1
            return
        meta = dict(answer["meta"])
        features = dict(meta.pop("features"))
        self.stale.append(bool(features.pop("stale")))
        for each in ("decision_id", "latency_ms", "deadline_left_ms"):
            del meta[each]
        self.said.append({**answer, "meta": {**meta, "features": features}})


def take_down(world: World) -> None:
    world.prometheus.end()
    world.machines.end()
    world.market.end()


def has_settled(client: httpx.Client) -> bool:
    """Tell whether nobody answers any more, and what was fetched last is what is answered by."""
    states = {name: source(client, name) for name in ("shop", "machines", "market")}
    return (
        all(each["state"] == "away" for each in states.values())
        and event_time(tail(client, TILL)) == states["shop"]["newest"]
        and event_time(tail(client, COIN)) == states["market"]["newest"]
        and feature(client, BOX, "active_workers")["event_time"] == states["machines"]["newest"]
    )


@pytest.mark.usefixtures("patient")
def test_with_every_source_down_nothing_but_the_marks_changes(
    client: httpx.Client, world: World
) -> None:
    eventually(lambda: is_fresh(client, TILL), PATIENT_SECONDS)
    eventually(lambda: not feature(client, BOX, "active_workers")["stale"], PATIENT_SECONDS)
    eventually(lambda: is_fresh(client, COIN, 3 * MINUTE), PATIENT_SECONDS)
    gaps = [each for each in source(client, "market")["complaints"] if each["fault"] == "gap"]
    take_down(world)
    try:
        eventually(lambda: has_settled(client), PATIENT_SECONDS)
        compared, boxes = [Compared(each) for each in (TILL, COIN)], list[Answer]()
        until = time.monotonic() + max(DOWN_SECONDS, STALE_SECONDS + 2 * CADENCE)
        while time.monotonic() < until:
            for each in compared:
                each.add(tail(client, each.entity))
            boxes.append(feature(client, BOX, "active_workers"))
            time.sleep(0.5)
    finally:
        world.prometheus.start(world.config)
        world.machines.start((world.machines.folder / "prometheus.yml").read_text())
        world.market.start()
    for each in compared:
        assert each.said, each.entity
        assert each.late < 0.1 * (each.late + len(each.said)), each.entity
        for answer in each.said:
            assert answer == each.said[0], each.entity
        # Once something is stale it stays so, for nothing new comes.
        assert each.stale == sorted(each.stale), each.entity
    assert compared[0].stale[-1]
    marks = [each.pop("stale") for each in boxes]
    assert [each for each in boxes if each != boxes[0]] == []
    assert marks[-1]
    assert marks == sorted(marks)
    for name in ("shop", "machines", "market"):
        eventually(is_live(client, name), PATIENT_SECONDS)
    eventually(lambda: not is_marked(client, TILL), PATIENT_SECONDS)
    # The market went on while nobody asked it: what was missed is fetched, and is no gap.
    eventually(lambda: is_fresh(client, COIN, 3 * MINUTE), PATIENT_SECONDS)
    found = source(client, "market")["complaints"]
    assert [each for each in found if each["fault"] == "gap"] == gaps
