"""The configuration of a fresh machine."""

from config_store.document import ConfigDocument, FamilyServing, FeatureConfig
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


def default_document() -> ConfigDocument:
    return ConfigDocument(
        serving={"tail": FamilyServing(model="tail/xgboost-quantile")},
        safety=default_policy(),
        features=FeatureConfig(defaults=FEATURE_DEFAULTS),
    )
