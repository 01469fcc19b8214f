"""What a campaign makes of a platform that does as it is told."""

import asyncio
import subprocess
from typing import Any

import pytest

from benchmarks.chaos import campaign as campaign_module
from benchmarks.chaos.books import Answer, Books
from benchmarks.chaos.campaign import Campaign, StartError
from benchmarks.chaos.load import PACES
from benchmarks.chaos.outages import Outages
from benchmarks.chaos.processes import Census, Struck
from benchmarks.chaos.schedule import Action, Fault, Step
from benchmarks.chaos.targets import TARGETS
from tests.waiting import until

KILL = Step((Fault("redis", Action.KILL, 0.0, 0.5),), 0.0, 0.0)


class Scripted:
    """Stands for a platform: ends with a fault when it is told to, starts at the given try."""

    def __init__(self, *, ends: bool = False, starts_at: int = 1) -> None:
        self.ends, self.starts_at = ends, starts_at
        self.tries, self.is_up = 0, True

    def runs(self) -> bool:
        return self.is_up

    def last_words(self) -> str:
        return "farewell"

    def down(self) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, "", "")

    def up(self) -> subprocess.CompletedProcess[str]:
        self.tries += 1
        self.is_up = self.tries >= self.starts_at
        return subprocess.CompletedProcess([], 0 if self.is_up else 1, "", "no")


def campaign_of(platform: Any, books: Books) -> Campaign:
    return Campaign(platform, books, Outages(), lambda _: None)


@pytest.fixture
def books() -> Books:
    return Books(clock=lambda: asyncio.get_running_loop().time())


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Census:
    """Give the processes that a census finds; the test may take some away."""
    found = {target.name: [7] for target in TARGETS}

    async def struck(platform: Any, fault: Fault) -> Struck:
        platform.is_up = not platform.ends
        return Struck(fault, 8)

    monkeypatch.setattr(campaign_module, "census", lambda _: dict(found))
    monkeypatch.setattr(campaign_module, "strike", struck)
    monkeypatch.setattr(campaign_module, "PROCESSES_SECONDS", 0.0)
    monkeypatch.setattr(campaign_module, "LOOK_EVERY_SECONDS", 0.01)
    return found


async def carried_out(
    platform: Scripted, books: Books, *steps: Step, campaign: Campaign | None = None
) -> Campaign:
    """Run the steps while every endpoint answers, as the load's clients note it."""
    settled = campaign is not None
    campaign = campaign or campaign_of(platform, books)

    async def answer() -> None:
        while True:
            for endpoint in PACES:
                books.receive(endpoint, None, degraded=False)
            await asyncio.sleep(0.01)

    answering = asyncio.create_task(answer())
    try:
        if not settled:
            assert await campaign.settle(30.0) == []
        campaign._endpoints = set(PACES)
        await until(lambda: set(books.good_at) >= set(PACES))
        await campaign.run(list(steps) or [KILL], limit_s=600.0)
    finally:
        answering.cancel()
    return campaign


async def test_a_step_ends_when_all_answers_are_back(books: Books, there: Census) -> None:
    campaign = await carried_out(Scripted(), books, KILL)
    (effect,) = campaign.effects
    assert effect.answers_seconds is not None
    assert effect.processes_seconds is not None
    assert (effect.absent, effect.restarted, effect.wrong) == ([], None, {})
    assert effect.struck == ["kill redis (8)"]
    assert there["redis"]


async def test_a_platform_that_ended_is_started_again_and_that_is_noted(
    books: Books, there: Census
) -> None:
    platform = Scripted(ends=True, starts_at=2)
    campaign = await carried_out(platform, books, KILL)
    (effect,) = campaign.effects
    assert platform.tries == 2
    assert effect.last_words == "farewell"
    assert effect.restarted == "the platform ended and was started again, not at the first try"
    assert there["redis"]


async def test_one_that_cannot_be_started_ends_the_campaign(books: Books, there: Census) -> None:
    with pytest.raises(StartError, match="does not start again"):
        await carried_out(Scripted(ends=True, starts_at=99), books, KILL)
    assert there["redis"]


async def test_a_process_that_stays_away_is_missed_once(books: Books, there: Census) -> None:
    campaign = campaign_of(Scripted(), books)
    campaign._whole = {name: list(pids) for name, pids in there.items()}
    there["dashboard"] = []
    await campaign.run([KILL, KILL], limit_s=600.0)
    assert [effect.absent for effect in campaign.effects] == [["dashboard"], []]


async def test_a_victim_that_is_still_dying_does_not_count_as_back(
    books: Books, there: Census
) -> None:
    campaign = campaign_of(Scripted(), books)
    campaign._whole = {name: list(pids) for name, pids in there.items()}
    there["redis"] = [8]
    await campaign.run([KILL], limit_s=600.0)
    assert campaign.effects[0].absent == ["redis"]


async def test_answers_from_before_a_process_is_back_do_not_end_a_step(
    books: Books, there: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_module, "PROCESSES_SECONDS", 600.0)
    campaign = campaign_of(Scripted(), books)
    campaign._whole = {name: list(pids) for name, pids in there.items()}
    there["raylet"] = []
    running = asyncio.create_task(carried_out(Scripted(), books, campaign=campaign))
    await until(lambda: "tail-slo" in books.good_at)
    answered = books.answered.total()
    await until(lambda: books.answered.total() > answered + 20 * len(PACES))
    assert not running.done()
    there["raylet"] = [9]
    await running
    assert campaign.effects[0].absent == []


async def test_wrong_answers_are_laid_to_their_step(books: Books, there: Census) -> None:
    campaign = campaign_of(Scripted(), books)
    campaign._whole = dict(there)
    books.note("tail", Answer(401, "application/json", None, b"{}"))
    before = campaign._counts()
    books.note("tail", Answer(404, "application/json", None, b"{}"))
    gained = {name: now - before[name] for name, now in campaign._counts().items()}
    assert {name: count for name, count in gained.items() if count} == {"wrong 404": 1}


async def test_ctrl_c_ends_the_faults(books: Books, there: Census) -> None:
    campaign = campaign_of(Scripted(), books)
    campaign._whole = dict(there)
    running = asyncio.create_task(campaign.run([KILL, KILL], limit_s=600.0))
    await asyncio.sleep(0)  # it waits for answers that nobody gives
    campaign.end_early()
    await running
    assert len(campaign.effects) + campaign.left_out == 2


async def test_what_does_not_fit_into_the_time_is_left_out(books: Books, there: Census) -> None:
    campaign = campaign_of(Scripted(), books)
    campaign._whole = dict(there)
    await campaign.run([KILL, KILL], limit_s=-1.0)
    assert (campaign.left_out, campaign.effects) == (2, [])
