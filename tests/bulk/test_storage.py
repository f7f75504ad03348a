"""Files of rows: whole or not at all, under names that nobody else makes."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiojobs_engine.bulk.storage import LocalStorage
from aiojobs_engine.core.errors import BackendFull, ConfigError


async def blocks(*given: bytes) -> AsyncIterator[bytes]:
    for block in given:
        yield block


async def broken() -> AsyncIterator[bytes]:
    yield b"half"
    raise LookupError


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


async def test_what_was_put_is_read(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "files")
    name = await storage.put("job1", blocks(b"ab", b"c"))
    async with storage.open(name) as path:
        assert path.read_bytes() == b"abc"


async def test_the_same_content_has_the_same_name(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    first = await storage.put("job1", blocks(b"abc"))
    assert await storage.put("job1", blocks(b"a", b"bc")) == first
    assert await storage.put("job1", blocks(b"other")) != first
    assert await storage.put("job2", blocks(b"abc")) != first
    assert len(files(tmp_path)) == 3


async def test_a_put_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        await LocalStorage(tmp_path).put("job1", broken())
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackendFull, match="No space left"):
        await LocalStorage(tmp_path).put("job1", blocks(b"abc"))
    assert list(tmp_path.iterdir()) == []


async def test_a_place_that_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"storage\.path"):
        await LocalStorage(tmp_path / "file").put("job1", blocks(b"abc"))


async def test_all_that_a_job_owns_goes_at_once(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    await storage.put("job1", blocks(b"abc"))
    await storage.put("job1", blocks(b"def"))
    kept = await storage.put("job10", blocks(b"abc"))
    await storage.remove("job1")
    await storage.remove("job1")
    assert len(files(tmp_path)) == 1
    async with storage.open(kept) as path:
        assert path.exists()


async def test_one_content_goes_alone(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    first = await storage.put("job1", blocks(b"abc"))
    second = await storage.put("job1", blocks(b"def"))
    await storage.remove(first)
    await storage.remove(first)
    async with storage.open(second) as path:
        assert files(tmp_path) == [path]
    await storage.remove(second)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["job1", "../job1/" + "0" * 32, "job1/../x", "/etc/passwd", "a/b/" + "0" * 32, ""]
)
async def test_names_that_it_never_made_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no name of this storage"):
        async with LocalStorage(tmp_path).open(name):
            pass


@pytest.mark.parametrize("owner", ["..", ".", ".hidden", "-rf"])
async def test_no_owner_leads_out_of_the_directory(tmp_path: Path, owner: str) -> None:
    root = tmp_path / "files"
    name = await LocalStorage(root).put(owner, blocks(b"abc"))
    async with LocalStorage(root).open(name) as path:
        assert path.parent.parent == root
    await LocalStorage(root).remove(owner)
    assert list(root.iterdir()) == []
