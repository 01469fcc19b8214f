"""Feast's side of the features bench: a repository of one view, written once, as its pages advise.

`python repo.py FOLDER` reads FOLDER/vectors.json, {"features": [...], "entities": [...], "rows":
[[...]]}, registers the view and a feature service, and writes every row to the online store that
FOLDER/feature_store.yaml names.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

VIEW, SERVICE, KEY = "vectors", "fifty", "entity"


def register(store: FeatureStore, names: list[str], folder: Path) -> None:
    entity = Entity(name=KEY, join_keys=[KEY], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "none.parquet"), timestamp_field="event_timestamp")
    view = FeatureView(
        name=VIEW,
        entities=[entity],
        ttl=timedelta(days=1),
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=source,
    )
    store.apply([entity, view, FeatureService(name=SERVICE, features=[view])])


def main(folder: Path) -> None:
    given = json.loads((folder / "vectors.json").read_text())
    store = FeatureStore(repo_path=str(folder))
    frame = pd.DataFrame(given["rows"], columns=given["features"])
    frame[KEY] = given["entities"]
    frame["event_timestamp"] = datetime.now(UTC)
    # The source is never read; Feast only wants to see that it is there.
    frame.to_parquet(folder / "none.parquet")
    register(store, given["features"], folder)
    store.write_to_online_store(VIEW, frame)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
