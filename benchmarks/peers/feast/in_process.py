"""Feast without a server: one process that asks the store again as soon as it is answered.

`python in_process.py FOLDER` opens the store of FOLDER and then reads lines of JSON, {"bodies":
PATH, "seconds": S}: it asks the bodies of that file in turn, and answers with a line, the list of
the microseconds that each call took.
"""

import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

from feast import FeatureStore


class Asking:
    def __init__(self, folder: str) -> None:
        self._store = FeatureStore(repo_path=folder)
        self._service = self._store.get_feature_service("fifty")

    def ask(self, entities: dict[str, list[str]]) -> dict[str, Any]:
        found = self._store.get_online_features(features=self._service, entity_rows=entities)
        answer: dict[str, Any] = found.to_dict()
        return answer

    def timed(self, bodies: Path, seconds: float) -> Iterator[int]:
        rows = [json.loads(line)["entities"] for line in bodies.read_text().splitlines()]
        ends = time.perf_counter() + seconds
        for entities in cycle(rows):
            started = time.perf_counter()
            if started > ends:
                return
            self.ask(entities)
            yield round((time.perf_counter() - started) * 1e6)


def main(folder: str) -> None:
    asking = Asking(folder)
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        print(json.dumps([*asking.timed(Path(wanted["bodies"]), wanted["seconds"])]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
