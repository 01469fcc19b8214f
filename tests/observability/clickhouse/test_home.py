"""The archive is one folder: any other is refused, with words, until somebody gives it up."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from observability.clickhouse.home import MARK, abandon, claim, known_home, read_mark
from observability.errors import ArchiveElsewhereError


async def test_the_first_folder_becomes_the_archive_and_stays_it(
    client: Redis, tmp_path: Path
) -> None:
    first = await claim(client, tmp_path / "a", "10.0.0.1")
    assert read_mark(tmp_path / "a") == first.archive_id
    assert await claim(client, tmp_path / "a", "10.0.0.1") == first
    assert await known_home(client) == first


async def test_a_folder_of_an_earlier_release_becomes_it_with_what_it_holds(
    client: Redis, tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    home = await claim(client, tmp_path, "node")
    assert home.folder == str(tmp_path)
    assert (tmp_path / "store").is_dir()


async def test_an_empty_folder_of_another_node_is_refused_and_left_alone(
    client: Redis, tmp_path: Path
) -> None:
    await claim(client, tmp_path / "a", "10.0.0.1")
    with pytest.raises(
        ArchiveElsewhereError, match=r"10\.0\.0\.1 in .*/a, which cannot be reached"
    ) as told:
        await claim(client, tmp_path / "b", "10.0.0.2")
    assert "docs/operations.md" in str(told.value)
    assert not (tmp_path / "b").exists()
    assert (await known_home(client)).node == "10.0.0.1"  # type: ignore[union-attr] # it is known


async def test_another_archive_is_refused_too(client: Redis, tmp_path: Path) -> None:
    await claim(client, tmp_path / "a", "node")
    await abandon(client)
    await claim(client, tmp_path / "b", "node")
    with pytest.raises(ArchiveElsewhereError):
        await claim(client, tmp_path / "a", "node")


async def test_a_folder_that_was_emptied_is_not_begun_anew_in_silence(
    client: Redis, tmp_path: Path
) -> None:
    """As where a disk was not mounted."""
    await claim(client, tmp_path / "a", "node")
    (tmp_path / "a" / MARK).unlink()
    with pytest.raises(ArchiveElsewhereError):
        await claim(client, tmp_path / "a", "node")


async def test_a_folder_that_was_moved_is_known_by_its_mark(client: Redis, tmp_path: Path) -> None:
    first = await claim(client, tmp_path / "a", "10.0.0.1")
    shutil.move(tmp_path / "a", tmp_path / "b")
    moved = await claim(client, tmp_path / "b", "10.0.0.2")
    assert moved.archive_id == first.archive_id
    assert (moved.node, moved.folder) == ("10.0.0.2", str(tmp_path / "b"))
    assert await known_home(client) == moved


async def test_a_redis_that_lost_all_learns_it_from_the_folder(
    client: Redis, tmp_path: Path
) -> None:
    first = await claim(client, tmp_path / "a", "node")
    await client.flushall()
    assert await claim(client, tmp_path / "a", "node") == first


async def test_a_later_release_may_have_noted_more(client: Redis, tmp_path: Path) -> None:
    first = await claim(client, tmp_path / "a", "node")
    found: Any = await client.get("ballast:archive")
    noted = orjson.dumps(orjson.loads(found) | {"since": 1})
    await client.set("ballast:archive", noted)
    assert await known_home(client) == first
    assert await claim(client, tmp_path / "a", "node") == first
    assert await client.get("ballast:archive") == noted


async def test_what_is_given_up_makes_room_for_a_new_one(client: Redis, tmp_path: Path) -> None:
    first = await claim(client, tmp_path / "a", "one")
    assert await abandon(client) == first
    assert await abandon(client) is None
    assert (await claim(client, tmp_path / "b", "two")).archive_id != first.archive_id
