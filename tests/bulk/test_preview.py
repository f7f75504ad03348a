"""Guesses of columns, and previews and templates of importers."""

import io
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine, SourceError
from aiojobs_engine.bulk.preview import guesses


class User(msgspec.Struct):
    email: str
    full_name: str
    age: int = 0
    city: str = ""


@pytest.fixture
def users(engine: Engine) -> Any:
    @engine.importer("users", row=User, key="email")
    async def import_users(rows: list[User]) -> None: ...

    return import_users


@pytest.mark.parametrize(
    "column, field, least",
    [
        ("email", "email", 1.0),
        ("E-Mail", "email", 0.95),
        ("Full Name", "full_name", 0.95),
        ("\u00c2ge", "age", 0.95),
        ("E-mail address", "email", 0.85),
        ("emial", "email", 0.7),
    ],
)
def test_likely_fields_are_guessed_with_a_confidence(column: str, field: str, least: float) -> None:
    (guess,) = guesses([column], ["other", field, "zzz"])
    assert (guess.column, guess.field) == (column, field)
    assert guess.confidence >= least
    assert (guess.confidence == 1) is (column == field)


def test_each_column_and_each_field_is_guessed_once_the_surest_first() -> None:
    found = guesses(["mail", "E-Mail", "x"], ["email", "age"])
    assert [(guess.column, guess.field) for guess in found] == [("E-Mail", "email")]
    assert guesses(["shoe size"], ["email"]) == []


async def test_a_preview_says_what_fits_and_what_is_missing(users: Any) -> None:
    source = io.BytesIO(b"Report of today\n\nE-Mail;AGE;Shoe\na@b;1;2\n")
    preview = await users.preview(source)
    assert str(preview.found) == "CSV, utf-8, delimiter ';', 3 columns: E-Mail, AGE, Shoe"
    assert preview.mapping == {"E-Mail": "email", "AGE": "age"}
    assert (preview.missing, preview.unused) == (("full_name",), ("Shoe",))
    source.seek(0)
    mapped = await users.preview(source, mapping={"Shoe": "full_name"})
    assert (mapped.missing, mapped.unused) == ((), ())
    with pytest.raises(SourceError, match="did you mean 'email'"):
        await users.preview(io.BytesIO(b"a,email\n"), mapping={"a": "emial"})
    with pytest.raises(SourceError, match="no column for 'email', 'full_name'"):
        await users.preview(io.BytesIO(b"x,y\n1,2\n"))
    with pytest.raises(SourceError, match="takes a path or an open binary file"):
        await users.preview([{"email": "a"}])


async def test_what_a_preview_maps_can_be_imported(engine: Engine, users: Any) -> None:
    data = b"E-Mail,Full name,age\na@b,A,1\n"
    preview = await users.preview(io.BytesIO(data))
    async with engine:
        await engine.dispatch(users, io.BytesIO(data), mapping=preview.mapping)
        await engine.worker(burst=True).run()
        (job,) = (await engine.jobs.list()).items
        assert (job.succeeded, job.failed) == (1, 0)


async def test_a_template_can_be_filled_in_and_imported(engine: Engine, users: Any) -> None:
    for name in ("csv", "tsv", "xlsx"):
        preview = await users.preview(io.BytesIO(users.template(name)))
        assert list(preview.found.columns) == ["email", "full_name", "age", "city"]
        assert all(guess.confidence == 1 for guess in preview.guesses)
    with pytest.raises(ConfigError, match="csv, tsv or xlsx, not 'pdf'"):
        users.template("pdf")

    @engine.importer("open", row=dict[str, str])
    async def import_open(rows: list[dict[str, str]]) -> None: ...

    with pytest.raises(ConfigError, match="takes any columns"):
        import_open.template()
