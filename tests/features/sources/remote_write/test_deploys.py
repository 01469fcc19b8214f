"""What is a deploy, by the start times of processes: a share replaced at once, or a new version."""

import numpy as np
import pytest

from features.sources.remote_write.deploys import deploys
from features.sources.remote_write.editions import EDITIONS
from features.sources.remote_write.log import Columns as Samples
from features.sources.remote_write.log import SampleLog
from features.sources.remote_write.needed import Needed
from features.sources.remote_write.registry import Registry
from features.sources.rules import Gauge, Mapping, Selector

STARTS = Selector(name="started")
MAPPING = Mapping(
    entity="job",
    metrics={"queue_depth": Gauge(of=Selector(name="queue"))},
    deploys=STARTS,
    version_label="version",
)
T = 1_764_000_000 // 60 * 60
SCRAPE = 15


class Service:
    """Processes that come and go, each scraped as long as it is there."""

    def __init__(self) -> None:
        self._spans: list[tuple[dict[str, str], int, int, float]] = []

    def runs(
        self, pod: str, start: int, stop: int, *, version: str = "1", begun: int | None = None
    ) -> None:
        """Let a process be there from one second to another, started a moment before."""
        labels = {"__name__": "started", "job": "orders", "pod": pod, "version": version}
        self._spans.append(
            (labels, T + start, T + stop, float(T + (start if begun is None else begun)) - 1)
        )

    def deploys(self) -> list[int]:
        """Give the ends of the intervals in which a deploy began, seconds from T on."""
        registry, log, needed = Registry(MAPPING), SampleLog(), Needed(MAPPING)
        stale = float(np.array([0x7FF0000000000002], np.uint64).view(np.float64)[0])
        for labels, start, stop, begun in self._spans:
            series = needed.series(labels)
            assert series is not None
            row = registry.rows([series])[0]
            times = np.arange(start, stop + 1, SCRAPE, dtype=np.int64) * 1000
            values = np.full(len(times), begun)
            values[-1] = stale  # the scrape after the last that was answered
            log.append(Samples(np.full(len(times), row, np.int32), times, values))
        return [
            end
            for end in range(0, 1800, 60)
            if deploys(registry, MAPPING, log.sorted(), T + end, 60, EDITIONS[3]).any()
        ]


def fleet(service: Service, count: int, *, gone_at: dict[int, int] | None = None) -> None:
    """Let so many be there all the while, but for those that go."""
    for pod in range(count):
        service.runs(f"old-{pod}", -3600, (gone_at or {}).get(pod, 3600))


@pytest.mark.parametrize(("before", "more"), [(1, 1), (1, 9), (2, 1), (10, 1), (10, 10)])
def test_scaling_up_is_no_deploy(before: int, more: int) -> None:
    service = Service()
    fleet(service, before)
    for pod in range(more):
        service.runs(f"new-{pod}", 905, 3600)
    assert service.deploys() == []


def test_scaling_down_is_no_deploy() -> None:
    service = Service()
    fleet(service, 10, gone_at=dict.fromkeys(range(8), 905))
    assert service.deploys() == []


@pytest.mark.parametrize("count", [1, 3, 20])
def test_all_replaced_at_once_is_a_deploy(count: int) -> None:
    service = Service()
    fleet(service, count, gone_at=dict.fromkeys(range(count), 905))
    for pod in range(count):
        service.runs(f"new-{pod}", 905, 3600)
    assert service.deploys() == [960]


def test_a_rollout_by_quarters_is_a_deploy_and_a_crash_of_one_of_many_is_none() -> None:
    rollout, crash = Service(), Service()
    fleet(rollout, 8, gone_at={pod: 905 + 60 * (pod // 2) for pod in range(8)})
    for pod in range(8):
        rollout.runs(f"new-{pod}", 905 + 60 * (pod // 2), 3600)
    assert rollout.deploys() == [960, 1020, 1080, 1140]
    fleet(crash, 8, gone_at={0: 905})
    crash.runs("old-0", 920, 3600)
    assert crash.deploys() == []


def test_machines_that_are_down_while_they_are_replaced_are_counted() -> None:
    """Each of two is away over the end of an interval, so there is one the fewer meanwhile."""
    service = Service()
    for pod, at in ((0, 890), (1, 1070)):
        service.runs(f"vm-{pod}", -3600, at)
        service.runs(f"vm-{pod}", at + 50, 3600)
    assert service.deploys() == [960, 1140]


def test_another_version_is_a_deploy_however_few_have_it() -> None:
    service = Service()
    fleet(service, 20)
    service.runs("canary", 905, 3600, version="2")
    assert service.deploys() == [960]


def test_a_version_that_is_told_for_the_first_time_is_no_deploy() -> None:
    service = Service()
    for pod in range(3):
        service.runs(f"old-{pod}", -3600, 905, version="")
        service.runs(f"old-{pod}", 905, 3600, version="1", begun=-3600)
    assert service.deploys() == []


def test_who_was_away_for_long_is_new() -> None:
    service = Service()
    service.runs("old", -3600, 100)
    service.runs("new", 905, 3600, version="2")
    assert service.deploys() == []
