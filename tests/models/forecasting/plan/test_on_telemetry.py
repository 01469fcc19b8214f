"""Plans for days that the model did not see, judged by what the made-up platform then needed."""

import numpy as np
import pytest

from features.calendars.days import DAY
from models.forecasting.plan.correction import Moment
from models.forecasting.plan.model import CapacityModel, CapacityPlan
from models.forecasting.plan.telemetry import WANTED
from tests.fortnight import ENTITIES, START, STOP, fortnight

HOUR = 3_600
CUT = STOP - 4 * DAY
TARGET_CPU = 0.7


@pytest.fixture(scope="module")
def learned() -> CapacityModel:
    past = fortnight().between(START, CUT).columns()
    return CapacityModel.trained({name: past[name] for name in WANTED})


@pytest.mark.parametrize("entity", ENTITIES)
def test_planned_workers_hold_their_target_for_no_more_than_an_autoscaler_uses(
    learned: CapacityModel, entity: str
) -> None:
    found = fortnight()
    minutes = found.rows((found.entity == entity) & (found.ts >= CUT))
    rate = minutes.request_rate.reshape(-1, 60)
    workers = planned(learned, entity, rate.mean(axis=1)).workers[:, 0]
    # Load is work over workers, and processors follow it: other workers would have had these.
    work = (minutes.load * minutes.active_workers).reshape(-1, 60)
    cpu = 0.04 + 0.85 * work / workers[:, None]
    assert np.mean(cpu <= TARGET_CPU) > 0.93
    assert workers.mean() < 1.3 * minutes.active_workers.mean()


def planned(model: CapacityModel, entity: str, rate: np.ndarray) -> CapacityPlan:
    """Plan each hour on its own, as if the forecast of its mean had been right."""
    unknown = np.full(len(rate), np.nan)
    return model.plan(
        rate[:, None],
        unknown,
        np.full(len(rate), TARGET_CPU),
        entities=[entity] * len(rate),
        start=CUT + HOUR * np.arange(len(rate)),
        now=Moment(rate, unknown, unknown, unknown, rate),
        calendar_events=np.zeros(len(rate)),
    )
