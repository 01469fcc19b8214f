"""A patch in the whole house: every replica goes by it and says so, and answers carry it."""

import asyncio

from access.keys import Role
from tests.deployments.house import PATH, House
from tests.waiting import PATIENCE_SECONDS

BODY = {"entity": "order-gateway", "load": 0.5}


async def test_a_patch_reaches_every_replica_and_a_rollback_takes_it_back(house: House) -> None:
    stages = sum(len(each) for each in house.replicas.values())

    async def all_report(version: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), house.client(Role.VIEWER) as client:
            while True:
                found = (await client.get("/config/drift")).json()
                reported = [each["version"] for each in found["replicas"]]
                if found["complete"] and reported == [version] * (stages + 1):
                    return
                await asyncio.sleep(0.05)

    async def answered() -> int:
        async with house.client() as client:
            found = (await client.post(PATH, json=BODY)).json()
        version: int = found["meta"]["config_version"]
        return version

    await all_report(1)
    async with house.client(Role.OPERATOR) as operator:
        made = await operator.put("/config", json={"serving": {"tail": {"slo_ms": 77}}})
        assert (made.status_code, made.json()["version"]) == (200, 2)
        await all_report(2)
        assert await answered() == 2
        where = (await operator.get("/config/steering")).json()
        assert (where["state"], where["active"], where["warm"]) == ("settled", 2, [1])
        back = await operator.post("/config/rollback", json={"reason": "a test"})
        assert (back.status_code, back.json()["active"]) == (200, 1)
        await all_report(1)
    assert await answered() == 1


async def test_each_role_may_do_what_the_contract_says(house: House) -> None:
    patch = {"serving": {"tail": {"slo_ms": 77}}}
    async with house.client(Role.CLIENT) as client:
        assert (await client.put("/config", json=patch)).status_code == 403
    async with house.client(Role.OPERATOR) as operator:
        made = (
            await operator.post("/config/versions", json={"patch": patch, "message": "m"})
        ).json()
        path = f"/config/versions/{made['version']}"
        assert (await operator.post(f"{path}/validate")).json()["good"]
        body = {"config_hash": made["config_hash"]}
        assert (await operator.post(f"{path}/approve", json=body)).status_code == 403
        assert (await operator.post("/config/freezes", json={})).status_code == 403
    async with house.client(Role.APPROVER) as approver:
        approved = await approver.post(f"{path}/approve", json=body)
        assert approved.json()["life"]["stage"] == "approved"
        assert (await approver.put("/config/settings", json={})).status_code == 403
    async with house.client(Role.ADMIN) as admin:
        assert (await admin.put("/config/settings", json={})).status_code == 200
