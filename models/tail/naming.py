"""What the tail model is called in the registry; apart, so that nobody loads XGBoost for a name."""

TAIL_MODEL = "tail/xgboost-quantile"
