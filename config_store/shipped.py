"""The configuration of a fresh machine."""

from config_store.document import (
    ConfigDocument,
    Deadlines,
    FamilyServing,
    FeatureConfig,
    Lane,
    ModelServing,
    Serving,
    TailServing,
)
from safety.shipped import default_policy
from safety.tail import BASELINE_MS, FLEET

# What is assumed of a service that nobody has measured yet: half loaded, healthy, of middling size.
# Fleet and baseline are those that the tail family's fallback assumes too.
FEATURE_DEFAULTS = {
    "load": 0.5,
    "infra": 0.5,
    "request_rate": 1000.0,
    "error_rate": 0.001,
    "active_workers": FLEET,
    "baseline_ms": BASELINE_MS,
    "baseline_rate": 1000.0,
}


# A thousand fits may be asked for in one body, and are done beside what others ask.
MANY_FITS = Deadlines(request_ms=10_000.0, model_ms=2_000.0)
# A series of thousands of values takes tenths of a second, and sixteen may share a batch.
LONG_FITS = Deadlines(request_ms=15_000.0, model_ms=8_000.0)
# Off-policy evaluation goes through thousands of decisions, in a process of low priority; and who
# asks for a trial may choose to wait for a model's suggestion, which others need not wait for.
PATIENT = Deadlines(request_ms=10_000.0, model_ms=9_000.0)
SEVERAL = Lane(batches_in_flight=64)
# Where a batch waits for Redis a lone request should not wait for it too; more in flight would
# only make smaller batches of a load.
FEW = Lane(batches_in_flight=3)
# Of rows with state a slice is one write to Redis.
WITH_STATE = Lane(batches_in_flight=3, slice_rows=250)
# A fit takes a tenth of a millisecond to two, and whoever shares a replica with it waits.
FITS = Lane(batches_in_flight=3, max_batch_rows=16, slice_rows=16)


def default_serving() -> Serving:
    return Serving.model_validate(
        {
            "tail": TailServing(model="tail/xgboost-quantile"),
            "extremes": FamilyServing(deadlines=MANY_FITS, lane=FITS),
            "forecast": FamilyServing(deadlines=LONG_FITS, lane=FITS),
            "capacity": ModelServing(model="forecasting/ensemble", lane=FEW),
            "regime": FamilyServing(lane=WITH_STATE),
            "anomaly": FamilyServing(lane=WITH_STATE),
            "bandit": FamilyServing(lane=WITH_STATE),
            "bandit-feedback": FamilyServing(lane=WITH_STATE),
            "bandit-evaluate": FamilyServing(deadlines=PATIENT),
            "bayes-opt": FamilyServing(deadlines=PATIENT, lane=SEVERAL),
            "bayes-opt-tell": FamilyServing(lane=WITH_STATE),
        }
    )


def default_document() -> ConfigDocument:
    return ConfigDocument(
        serving=default_serving(),
        safety=default_policy(),
        features=FeatureConfig(defaults=FEATURE_DEFAULTS),
    )
