import pytest
from pydantic import ValidationError

from access.keys import Principal, Role
from config_store.document import ConfigDocument
from config_store.quotas import Quota, QuotaChange, QuotasConfig
from config_store.shipped import default_document


def test_a_keys_own_value_counts_then_its_roles_then_the_default() -> None:
    quotas = QuotasConfig(
        default=Quota(streams=10, studies=5, experiments=3),
        roles={Role.CLIENT: QuotaChange(streams=20, studies=6)},
        keys={"k1": QuotaChange(streams=30)},
    )
    own, other = (quotas.of(Principal(key, Role.CLIENT)) for key in ("k1", "k2"))
    assert (own.streams, own.studies, own.experiments) == (30, 6, 3)
    assert (other.streams, other.studies, other.experiments) == (20, 6, 3)
    assert quotas.of(Principal("k2", Role.ADMIN)).streams == 10


def test_a_document_of_an_earlier_release_gets_the_defaults() -> None:
    fields = default_document().model_dump(mode="json")
    del fields["quotas"]
    assert ConfigDocument.model_validate(fields).quotas == QuotasConfig()


@pytest.mark.parametrize("wrong", [{"streams": -1}, {"rows_per_second": 0}, {"rows": 3}])
def test_what_is_no_quota_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        QuotasConfig.model_validate({"keys": {"k1": wrong}})
