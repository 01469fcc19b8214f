from features.definitions.live import FEATURES, LIVE, NAMES, TRAILING_DAYS
from features.telemetry.columns import COLUMNS
from models.tail import baselines


def test_a_baseline_spans_the_same_days_where_it_is_kept_and_where_it_is_learnt() -> None:
    # Neither room may import the other, so each has the figure.
    assert TRAILING_DAYS == baselines.TRAILING_DAYS


def test_what_is_read_live_is_measured() -> None:
    assert {feature.name for feature in LIVE} <= {column.name for column in COLUMNS}


def test_every_feature_has_a_name_of_its_own_a_unit_and_a_meaning() -> None:
    assert len(set(NAMES)) == len(FEATURES)
    assert all(feature.unit and feature.description for feature in FEATURES)
