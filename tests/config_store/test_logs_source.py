"""The logs as a kind of source in the configuration."""

import re

import orjson
import pytest
from pydantic import ValidationError

from config_store.sources import LogsSource, SourcesConfig
from tests.surface.source import REPOSITORY


def test_the_documented_rules_make_a_configuration() -> None:
    page = (REPOSITORY / "docs/sources/logs.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    shop = {"kind": "logs", "lines": orjson.loads(block)}
    found = SourcesConfig.model_validate({"named": {"shop-logs": shop}})
    source = found.named["shop-logs"]
    assert isinstance(source, LogsSource)
    assert [each.kind for each in source.lines.patterns] == ["error", "deploy", "restart"]
    assert SourcesConfig.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(("cadence", "lateness", "taken"), [(60, 45, True), (60, 46, False)])
def test_an_interval_ends_before_the_next_one_is_over(
    cadence: int, lateness: int, *, taken: bool
) -> None:
    lines = {"paths": ["/var/log/app.log"], "entity_name": "app"}
    fields = {"lines": lines, "cadence_seconds": cadence, "lateness_seconds": lateness}
    if taken:
        LogsSource.model_validate(fields)
    else:
        with pytest.raises(ValidationError, match="give a cadence that is a third longer"):
            LogsSource.model_validate(fields)
