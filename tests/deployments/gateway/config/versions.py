"""What tests of versions at the api share: how they draft, approve, and promote a model."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from models.digest import digest_of
from models.model_version import ModelVersion
from models.pointer import keep_record, write_pointer
from models.registry import CHAMPION
from tests.deployments.gateway.config_api import ConfigApi

SLO = {"serving": {"tail": {"slo_ms": 90}}}
ADMIN = "adam:admin"
APPROVER = "alba:approver"
TAIL = "tail/xgboost-quantile"


def error(found: httpx.Response, status: int) -> Any:
    assert found.status_code == status, found.text
    return found.json()["error"]


async def needing_approval(api: ConfigApi) -> None:
    found = await api.ask("PUT", "/config/settings", {"approvals_needed": 1}, ADMIN)
    assert found.json()["approvals_needed"] == 1


async def drafted(api: ConfigApi, slo: int, who: str = "olga:operator") -> int:
    body = {"patch": {"serving": {"tail": {"slo_ms": slo}}}, "message": "m"}
    made = await api.ask("POST", "/config/versions", body, who)
    assert made.status_code == 201, made.text
    number: int = made.json()["version"]
    return number


def crown(models: Path, version: str, alias: str = CHAMPION) -> str:
    """Make a version champion; give the digest of its files."""
    folder = models / "tail.xgboost-quantile" / version
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(version)
    digest = digest_of(folder)
    made = ModelVersion(TAIL, version, folder, datetime.now(UTC), digest=digest)
    keep_record(models, made)
    write_pointer(models, alias, made)
    return digest
