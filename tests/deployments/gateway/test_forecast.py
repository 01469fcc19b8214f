from typing import Any

from tests.deployments.house import House

PATH = "/models/forecast"
Body = dict[str, Any]


async def post(house: House, body: Body) -> Any:
    async with house.client() as client:
        found = await client.post(PATH, json=body)
    return found.status_code, found.json()


async def test_a_series_goes_on(house: House) -> None:
    values = [float(10 + at % 4) for at in range(40)]
    body = {"values": values, "start": "2026-11-20T00:00:00Z", "frequency": "6h", "horizon": 4}
    code, answer = await post(house, body)
    assert code == 200, answer
    steps = answer["data"]["forecast"]
    assert [each["ts"] for each in steps] == [
        "2026-11-30T00:00:00Z",
        "2026-11-30T06:00:00Z",
        "2026-11-30T12:00:00Z",
        "2026-11-30T18:00:00Z",
    ]
