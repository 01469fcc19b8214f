"""What a fresh machine needs once: a configuration, an admin key, history, and a trained model."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import ray

from config_store.connection import open_redis
from config_store.settings import Settings
from config_store.shipped import default_document
from config_store.store import ConfigStore
from deployments.history import history
from deployments.launch.old_names import move_old_names
from models.pointer import read_pointer
from models.registry import CHAMPION, Registry
from models.tail.naming import TAIL_MODEL
from safety.access import Role
from safety.key_store import KeyStore

Progress = Callable[[float, str], None]


async def prepare_redis(settings: Settings) -> None:
    """Publish the first configuration and make the first key, unless they are there."""
    redis = open_redis(settings.redis_address, settings.redis_prefix)
    now = datetime.now(UTC)
    try:
        await move_old_names(redis, settings)
        await ConfigStore(redis).bootstrap(
            default_document(), author="ballast up", reason="a fresh machine", now=now
        )
        await _first_key(KeyStore(redis), settings.paths.key_file, now)
    finally:
        await redis.aclose()


async def _first_key(keys: KeyStore, key_file: Path, now: datetime) -> None:
    ring = await keys.ring()
    if (kept := read_secret(key_file)) and ring.verify(kept.encode()):
        return
    issued = await keys.create(Role.ADMIN, "made by ballast up", now)
    write_secret(key_file, issued.presented)


def read_secret(path: Path) -> str | None:
    return path.read_text().strip() if path.is_file() else None


def write_secret(path: Path, secret: str) -> None:
    """Write for the owner's eyes only, from the first byte on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret + "\n")


def fill_history(progress: Progress) -> int:
    """Bring the telemetry up to now; count the minutes added."""
    actor = history()
    filling = actor.filled.remote()
    while not ray.wait([filling], timeout=0.2)[0]:
        stage, share = ray.get(actor.progress.remote())
        progress(share, stage)
    added: int = ray.get(filling)
    progress(1.0, "Telemetry is up to date")
    return added


def train_missing(settings: Settings, progress: Progress) -> str:
    """Train the tail model and make it champion, unless there is one."""
    paths = settings.paths
    champion = read_pointer(paths.models, TAIL_MODEL, CHAMPION)
    if champion is not None:
        progress(1.0, f"Model {champion.name} {champion.version} is ready")
        return champion.version
    progress(0.0, "Reading history for the first training")
    # XGBoost and scikit-learn take seconds to import, which only the first start needs.
    from models.tail.training import train_tail  # noqa: PLC0415 - see above

    columns = ray.get(history().training_rows.remote(settings.history_days))
    threads = os.cpu_count() or 1
    trained = train_tail(columns, seed=settings.seed, threads=threads, progress=progress)
    registry = Registry(settings.tracking_uri, paths.models)
    with tempfile.TemporaryDirectory(dir=paths.home) as folder:
        trained.model.save(Path(folder))
        version = registry.register(
            TAIL_MODEL,
            Path(folder),
            metrics=trained.metrics,
            tags={"trained_at": datetime.fromtimestamp(time.time(), UTC).isoformat()},
        )
    registry.set_alias(TAIL_MODEL, CHAMPION, version.version)
    progress(1.0, f"Model {version.name} {version.version} is trained")
    return version.version


def prepare(settings: Settings) -> None:
    asyncio.run(prepare_redis(settings))
