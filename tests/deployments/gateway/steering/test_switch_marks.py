"""Every answer and every row tells the version that made it, and no other."""

from typing import Any

from benchmarks.switches.versions import marked, mixed, of_others
from tests.deployments.house import House

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "tail": ("/models/tail-slo", {"entity": "nobody", "load": 0.5, "slo_ms": 250}),
    "capacity": ("/models/capacity-planning", {"ingest_rate": 900, "cpu": 0.4, "p99": 9}),
    "bandit": ("/models/bandit", {"experiment": "e", "arms": ["a", "b"], "context": {}}),
}


async def test_answers_and_rows_tell_their_version(house: House) -> None:
    document = marked(house.document, 7)
    number = await house.deploy(document)
    async with house.client() as client:
        for family, (path, body) in BODIES.items():
            found = await client.post(path, json=body)
            assert found.status_code == 200, found.text
            answer = found.json()
            assert not answer["safety"]["fallback"], family
            assert of_others(family, answer, 7) == []
            assert of_others(family, answer, 8) != []
    rows = await house.ledger()
    assert {row["family"] for row in rows} == set(BODIES)
    for row in rows:
        assert mixed(row, document, 7, row["config_version"]) == []
        other = marked(house.document, 8)
        assert {"hash", "policy's hash"} & set(mixed(row, other, 8, row["config_version"]))
        assert mixed(row, document, 7, number + 1) != []
