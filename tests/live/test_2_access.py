"""Who gets in, and what is open to whom."""

import re
import subprocess

import httpx
import pytest

from config_store.store import ConfigStore
from launch import own_processes
from settings.redis_connection import open_redis
from tests.deploying import deployed, rolled_back
from tests.live.conftest import Live, answer_of, cmdline, eventually

pytestmark = pytest.mark.live

BODY = {"load": 0.5}


def status(live: Live, path: str, key: str | None, **options: object) -> int:
    headers = {} if key is None else {"X-API-Key": key}
    method = "POST" if "json" in options else "GET"
    return httpx.request(method, live.url + path, headers=headers, **options).status_code  # type: ignore[arg-type] # passed through


def test_health_and_the_documentation_alone_are_open(live: Live) -> None:
    for path in ("/health", "/docs", "/redoc", "/openapi.json", "/docs/assets/swagger.js"):
        assert status(live, path, None) == 200, path
    for path in ("/", "/ready", "/status", "/metrics", "/config"):
        assert status(live, path, None) == 401, path
    assert status(live, "/models/tail-slo", None, json=BODY) == 401
    assert status(live, "/models/tail-slo", "ballast_000000000000_nonsense", json=BODY) == 401


async def test_every_name_in_redis_begins_with_the_prefix(live: Live) -> None:
    redis = open_redis(f"unix://{live.redis}")
    names = [name async for name in redis.scan_iter(count=1000)]
    await redis.aclose()
    assert len(names) > 10
    assert [name for name in names if not name.startswith(b"ballast:")] == []


def test_serves_own_paths_are_closed(live: Live) -> None:
    assert status(live, "/-/routes", live.key) == 404


def test_a_role_may_do_what_it_includes_and_no_more(live: Live) -> None:
    viewer, client = (
        live.command("key", "create", "--role", role).stdout.strip()
        for role in ("viewer", "client")
    )
    eventually(lambda: status(live, "/status", viewer) == 200)
    eventually(lambda: status(live, "/status", client) == 200)
    assert status(live, "/models/tail-slo", viewer, json=BODY) == 403
    assert status(live, "/models/tail-slo", client, json=BODY) == 200
    bearer = {"Authorization": f"Bearer {client}"}
    answer = httpx.post(live.url + "/models/tail-slo", headers=bearer, json=BODY)
    assert answer.status_code == 200


def test_a_revoked_key_is_refused(live: Live) -> None:
    key = live.command("key", "create", "--role", "viewer").stdout.strip()
    eventually(lambda: status(live, "/status", key) == 200)
    assert live.command("key", "revoke", key.split("_")[1]).returncode == 0
    took = eventually(lambda: status(live, "/status", key) == 401)
    print(f"a revoked key was refused after {took:.3f} s")  # noqa: T201 - the figure is the point


def test_keys_are_kept_as_hashes_and_logs_hold_none(live: Live) -> None:
    key = live.command("key", "create", "--role", "viewer", "--note", "for the log").stdout.strip()
    secret = key.split("_", 2)[2]
    status(live, f"/status?api_key={key}", key)
    status(live, "/models/tail-slo", key, json={"load": "x"})
    files = [*(live.home / "logs").iterdir(), *(live.home / "redis").glob("*.log")]
    files += list((live.home / "redis").glob("**/*.aof"))
    assert files
    for file in files:
        assert secret not in file.read_text(errors="replace"), file
        assert live.key.split("_", 2)[2] not in file.read_text(errors="replace"), file


def test_nothing_listens_beyond_loopback(live: Live) -> None:
    listing = subprocess.run(
        ["/usr/bin/ss", "-Hltnp"], capture_output=True, text=True, check=True
    ).stdout
    ours = set(own_processes.marked(live.run.token)) | {live.run.pid}
    seen = 0
    for line in listing.splitlines():
        pids = {int(pid) for pid in re.findall(r"pid=(\d+)", line)}
        if pids & ours:
            seen += 1
            address = line.split()[3]
            assert re.match(r"127\.|\[::1\]|\[::ffff:127\.", address), (
                f"{address} is open: {[cmdline(pid) for pid in pids]}"
            )
    assert seen > 5


async def test_a_new_configuration_comes_into_force(live: Live) -> None:
    """Pushed by Redis to every replica; the answers that carry it come without a restart."""
    redis = open_redis(f"unix://{live.redis}")
    active = await ConfigStore(redis).active()
    tail = active.document.serving.tail.model_copy(update={"slo_ms": 0.5})
    serving = active.document.serving.model_copy(update={"tail": tail})
    changed = active.document.model_copy(update={"serving": serving})
    gateways = live.pids("ServeReplica:ballast:gateway")
    with live.client() as client:
        body = {"entity": "pricing", "load": 0.3}
        assert answer_of(client, body)["data"]["breach_probability"] < 0.5
        version = await deployed(redis, changed, message="to see it arrive")

        def arrived() -> bool:
            return bool(answer_of(client, body)["meta"]["config_version"] == version)

        took = eventually(arrived)
        print(f"a configuration was in force after {took:.3f} s")  # noqa: T201 - same
        assert answer_of(client, body)["data"]["breach_probability"] > 0.99
        await rolled_back(redis, active.number)
        eventually(lambda: answer_of(client, body)["meta"]["config_version"] == active.number)
    await redis.aclose()
    # One may have come or gone with the load of the tests before.
    assert set(live.pids("ServeReplica:ballast:gateway")) & set(gateways)
