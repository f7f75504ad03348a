"""Settings per type over per kind over global, labels, and names in the configuration that nothing has."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from aiojobs_engine import ConfigError, Engine
from aiojobs_engine.testing import TestEngine


class Row(msgspec.Struct):
    n: int


def importing(engine: Engine, **options: Any) -> tuple[Any, list[int]]:
    calls: list[int] = []

    @engine.importer("numbers", row=Row, **options)
    async def import_numbers(rows: list[Row]) -> None:
        calls.append(len(rows))

    return import_numbers, calls


@pytest.mark.parametrize(
    "config, options, call, sizes",
    [
        ({"chunking": {"size": 5, "threshold": 5}}, {}, {}, [5, 5, 2]),
        ({"chunking": {"threshold": 5}, "kinds": {"import": {"chunking": {"size": 6}}}}, {}, {}, [6, 6]),
        ({"kinds": {"import": {"chunking": {"size": 6, "threshold": 3}}}}, {"chunk_size": 4}, {}, [4, 4, 4]),
        ({"jobs": {"numbers": {"chunking": {"size": 7, "threshold": 3}}}}, {"chunk_size": 4}, {}, [7, 5]),
        (
            {"jobs": {"numbers": {"chunking": {"size": 7, "threshold": 3}}}},
            {"chunk_size": 4},
            {"chunk_size": 11},
            [11, 1],
        ),
        ({"jobs": {"numbers": {"chunking": {"threshold": 12}}}, "chunking": {"threshold": 1}}, {}, {}, [12]),
    ],
)
async def test_the_nearest_level_says_how_rows_are_cut(
    config: Any, options: Any, call: Any, sizes: Any
) -> None:
    engine = Engine("memory://", config=config)
    numbers, calls = importing(engine, **options)
    async with TestEngine(engine) as t:
        await engine.dispatch(numbers, [{"n": n} for n in range(12)], **call)
        await t.drain()
    assert sorted(calls, reverse=True) == sizes


async def test_a_label_is_published() -> None:
    engine = Engine("memory://", config={"jobs": {"report": {"label": "Monthly report"}}})

    @engine.job(name="report", label="Report", kind="report")
    async def report() -> None: ...

    @engine.exporter("users", columns=["n"], label="All users")
    async def users() -> AsyncIterator[Row]:
        yield Row(1)

    importing(engine, label="Numbers")
    async with engine:
        types = {record.name: record.options.get("label") async for record in engine.types.list()}
    assert types == {"report": "Monthly report", "users": "All users", "numbers": "Numbers"}


@pytest.mark.parametrize("label", ["", " ", "two\nlines", 3])
def test_a_label_is_a_line(label: Any) -> None:
    with pytest.raises(ConfigError, match="a line of text for people"):

        @Engine("memory://").job(label=label)
        async def wrong() -> None: ...


async def test_names_in_the_configuration_that_nothing_has_are_told(caplog: pytest.LogCaptureFixture) -> None:
    sections = {
        "jobs": {"nubmers": {"priority": 1}, "numbers": {"priority": 1}, "zzz": {"priority": 2}},
        "kinds": {"imprt": {"priority": 1}, "sync": {"priority": 2}},
    }
    engine = Engine("memory://", config=sections)
    importing(engine)
    with caplog.at_level(logging.WARNING, "aiojobs_engine"):
        async with engine:
            engine.worker()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        (
            "the configuration: [jobs.nubmers] is for no job type that is registered here"
            "; did you mean 'numbers'?"
        ),
        "the configuration: [jobs.zzz] is for no job type that is registered here",
        "the configuration: [kinds.imprt] is for no kind of jobs; did you mean 'import'?",
    ]
