"""What is refused where an import is dispatched, and what a dispatch stores."""

import io
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from aiojobs_engine import (
    BackendFull,
    ConfigError,
    Engine,
    IdConflict,
    JobContext,
    PayloadError,
    SourceError,
    Status,
)
from tests.bulk.conftest import WriteCsv, counts, work

FILES = Path("aiojobs-files")


class User(msgspec.Struct):
    email: str
    age: int


@pytest.fixture
def users(engine: Engine) -> Any:
    @engine.importer("users", row=User, key="email")
    async def import_users(rows: list[User]) -> None:
        pass

    return import_users


def stored() -> list[Path]:
    return [path for path in FILES.rglob("*") if path.is_file()]


async def refused(engine: Engine, users: Any, source: Any, **call: Any) -> PayloadError:
    async with engine:
        with pytest.raises(PayloadError) as caught:
            await engine.dispatch(users, source, **call)
        assert [job async for job in engine.jobs.list()] == []
    assert stored() == []
    return caught.value


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "empty"),
        (b"email\n1\n", "no column for 'age'"),
        (b"E-mail,age\n", "did you mean mapping={'E-mail': 'email'}"),
        (b"email,age,email\n", "names 'email' twice"),
    ],
)
async def test_files_that_do_not_fit_are_refused(
    engine: Engine, users: Any, tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(data)
    for source in (path, str(path), io.BytesIO(data)):
        error = await refused(engine, users, source)
        assert isinstance(error, SourceError)
        assert message in str(error)
        assert error.argument == "source"


async def test_only_regular_files_are_read(engine: Engine, users: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.csv")
    (tmp_path / "directory.csv").mkdir()
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    for name, message in [
        ("missing.csv", "there is no file"),
        ("fifo.csv", "no regular file"),
        ("directory.csv", "no regular file"),
        ("device.csv", "no regular file"),
        ("nul\0.csv", "can't be opened"),
    ]:
        assert message in str(await refused(engine, users, tmp_path / name))


async def test_a_file_that_may_not_be_read_is_told(
    engine: Engine, users: Any, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    assert "can't be opened: [Errno 13]" in str(await refused(engine, users, write_csv(1)))


class NoMapping:
    pass


@pytest.mark.parametrize(
    "source, message",
    [
        (5, "5 is no source"),
        (b"email,age", "is no source"),
        ({"email": "a", "age": 1}, "is no source"),
        (io.StringIO("email,age\n"), "gives str instead of bytes; open it in binary mode"),
        ([["a", 1]], "row 1 is no mapping but list"),
        ([{"email": "a", "age": 1}, "b"], "row 2 is no mapping but str"),
        ([{"email": NoMapping(), "age": 1}], "row 1: NoMapping is no JSON data"),
        ([{"email": "\ud800", "age": 1}], "row 1: "),
        ([{"email": "a" * 1_100_000, "age": 1}], "row 1 is longer than 1,048,576 bytes"),
        ([{str(number): 1 for number in range(1001)}], "row 1 has 1,001 columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_gives_no_rows_is_refused(engine: Engine, users: Any, source: Any, message: str) -> None:
    error = await refused(engine, users, source)
    assert message in str(error)
    assert error.argument == "source"


async def test_what_a_source_raises_comes_through(engine: Engine, users: Any) -> None:
    def rows() -> Iterable[dict[str, Any]]:
        yield {"email": "a", "age": 1}
        raise LookupError("the database is gone")

    async with engine:
        with pytest.raises(LookupError, match="the database is gone"):
            await engine.dispatch(users, rows())
    assert stored() == []


@pytest.mark.parametrize(
    "call, argument, message",
    [
        ({"chunk_size": 0}, "chunk_size", "Expected `int` >= 1"),
        ({"chunk_size": 100_001}, "chunk_size", "Expected `int` <= 100000"),
        ({"chunk_size": "5"}, "chunk_size", "Expected `int | null`, got `str`"),
        ({"chunk_size": True}, "chunk_size", "Expected `int | null`, got `bool`"),
        ({"mapping": [("a", "b")]}, "mapping", "Expected `object`"),
        ({"mapping": {"Mail": "email"}}, "mapping", "mapping names 'Mail', no column of the source"),
        ({"mapping": {"age": "emial"}}, "mapping", "did you mean 'email'"),
        ({"dry_run": 1}, "dry_run", "Expected `bool`"),
        ({"max_failures": -1}, "max_failures", "Expected `int` >= 0"),
        ({"dryrun": True}, "dryrun", "takes no argument 'dryrun'; did you mean 'dry_run'"),
    ],
)
async def test_wrong_arguments_are_named(
    engine: Engine, users: Any, write_csv: WriteCsv, call: dict[str, Any], argument: str, message: str
) -> None:
    error = await refused(engine, users, write_csv(1), **call)
    assert message in str(error)
    assert error.argument == argument


async def test_a_source_is_needed_once(engine: Engine, users: Any) -> None:
    async with engine:
        with pytest.raises(PayloadError, match="'source' is missing"):
            await engine.dispatch(users)
        with pytest.raises(PayloadError, match="one positional argument"):
            await engine.dispatch(users, "a.csv", "b.csv")
        with pytest.raises(SourceError, match="there is no file"):
            await engine.dispatch(users, source="a.csv")


async def test_an_import_dispatched_twice_is_one(engine: Engine, users: Any, write_csv: WriteCsv) -> None:
    once = users.options(id="import-1")
    async with engine:
        first = await engine.dispatch(once, write_csv(3))
        second = await engine.dispatch(once, write_csv(3))
        with pytest.raises(IdConflict):
            await engine.dispatch(once, write_csv(4))
        await work(engine)
        assert (first.created, second.created) == (True, False)
        assert counts(await first.status()) == (3, 0, 0, 3)
        await engine.jobs.delete("import-1")
    assert stored() == []


async def test_a_full_store_keeps_no_file(
    engine: Engine, users: Any, write_csv: WriteCsv, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(envelope: object) -> None:
        raise BackendFull("no room")

    async with engine:
        session = cast("Any", engine)._life.door.session
        monkeypatch.setattr(session.writes, "submit", full)
        with pytest.raises(BackendFull):
            await engine.dispatch(users, write_csv(3))
    assert stored() == []


async def test_the_stored_source_goes_with_its_job(engine: Engine, users: Any, write_csv: WriteCsv) -> None:
    async with engine:
        for _ in range(2):
            await engine.dispatch(users, write_csv(3))
        await work(engine)
        assert len(stored()) == 2
        assert await engine.jobs.purge(status="completed") == 2
        assert stored() == []


async def test_stored_sources_are_for_the_owner_of_the_directory(
    engine: Engine, users: Any, write_csv: WriteCsv
) -> None:
    async with engine:
        await engine.dispatch(users, write_csv(3))
    assert not stat.S_IMODE(FILES.stat().st_mode) & 0o077


async def test_the_engine_takes_no_path_from_a_file_object(
    engine: Engine, users: Any, tmp_path: Path
) -> None:
    class Upload(io.BytesIO):
        name = "../../../../etc/passwd.csv"

    async with engine:
        handle = await engine.dispatch(users, Upload(b"email,age\na,1\n"))
        await work(engine)
        assert (await handle.status()).status is Status.COMPLETED
    assert [path.parts[0] for path in stored()] == ["aiojobs-files"]


def test_importers_are_checked_where_they_are_registered(engine: Engine) -> None:
    async def no_rows(ctx: JobContext) -> None: ...
    async def two(rows: list[User], more: int) -> None: ...
    async def good(rows: list[User]) -> None: ...

    for handler in (no_rows, two):
        with pytest.raises(ConfigError, match="takes a list of rows"):
            engine.importer("wrong", row=User)(cast("Any", handler))
    for options in ({"chunk_size": 0}, {"delimiter": "ab"}, {"key": "mail"}, {"chunksize": 5}):
        with pytest.raises(ConfigError):
            engine.importer("wrong", row=User, **cast("Any", options))(good)
    made = engine.importer(row=User)(good)
    assert made.name.endswith("good")
    with pytest.raises(ConfigError, match=r"use engine\.dispatch"):
        made.job("users.csv")
