"""What is known of the families' columns is what their code gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_store.shipped import default_document
from deployments.api.forecast import columns
from deployments.api.forecast_body import LARGEST, ForecastBody
from deployments.api.shipped import FAMILIES, known_columns
from safety.proofs.check import check_policy
from safety.shipped import default_policy


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_what_a_family_says_it_gives_is_what_it_gives(family: object) -> None:
    endpoint = FAMILIES[family.name]  # type: ignore[attr-defined] # one of them
    example = endpoint.body.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index] # each has one
    body = endpoint.body.model_validate(example)
    assert set(endpoint.given) == endpoint.columns([body], default_document()).keys()


VALUES = st.lists(st.none() | st.floats(-LARGEST, LARGEST), min_size=1, max_size=12)


@given(VALUES.filter(lambda each: any(value is not None for value in each)))
def test_a_last_interval_never_crosses(values: list[float | None]) -> None:
    body = ForecastBody(values=values, frequency="1h")
    with np.errstate(all="ignore"):
        given_columns = columns([body], default_document())
    lower, upper = given_columns["last_lower"][0], given_columns["last_upper"][0]
    assert np.isnan(lower) or np.isnan(upper) or lower <= upper


def test_the_shipped_policy_passes_with_nothing_to_say() -> None:
    report = check_policy(default_policy().model_dump(mode="json"), known_columns())
    assert report.findings == ()
    assert set(report.families) == set(FAMILIES)


def test_without_the_order_of_a_last_interval_the_shipped_forecast_is_refused() -> None:
    forecast = default_policy().model_dump(mode="json")["families"]["forecast"]
    report = check_policy({"families": {"forecast": forecast}}, {})
    assert not report.passes
    assert report.findings[0].example["last_lower"] > report.findings[0].example["last_upper"]  # type: ignore[operator] # numbers
