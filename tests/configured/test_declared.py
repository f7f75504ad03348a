"""Job types that stand wholly in the configuration."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, JobRegistry
from aiojobs_engine.testing import TestEngine

USERS = {"kind": "import", "handler": "shop.tasks:import_users", "row": "shop.tasks:User", "key": "email"}
EXPORT: dict[str, Any] = {
    "kind": "export",
    "handler": "shop.tasks:export_users",
    "columns": {"email": "E-Mail", "age": "Age"},
    "key": "age",
}


def engine_of(**jobs: Any) -> Engine:
    return Engine("memory://", config={"jobs": jobs})


def seen() -> list[Any]:
    found: list[Any] = importlib.import_module("shop.tasks").SEEN
    return found


async def test_an_importer_is_declared_with_all_that_it_needs(here: Path) -> None:
    (here / "users.csv").write_text("a@example.org;1\nb@example.org;x\na@example.org;3\n")
    users = {**USERS, "label": "Users", "delimiter": ";", "header": ["email", "age"], "queue": "bulk"}
    engine = engine_of(users={**users, "chunking": {"size": 1, "threshold": 1}})
    async with TestEngine(engine) as t:
        handle = await engine.dispatch("users", here / "users.csv")
        await t.drain()
        status = await handle.status()
        assert (status.kind, status.status, status.queue, status.strategy) == (
            "import",
            "partial",
            "bulk",
            "batch",
        )
        assert (status.processed, status.succeeded, status.failed, status.skipped) == (3, 2, 1, 1)
        assert [row.email for row in seen()] == ["a@example.org"]
        assert [(failure.row_number, failure.field) async for failure in engine.failures.list(handle.id)] == [
            (2, "age")
        ]


async def test_an_object_of_a_class_is_the_handler() -> None:
    engine = engine_of(
        users={**USERS, "handler": "shop.tasks:Users", "chunking": {"size": 2, "threshold": 1}}
    )
    async with TestEngine(engine) as t:
        await engine.dispatch("users", [{"email": f"{n}@example.org", "age": n} for n in range(4)])
        await t.drain()
    assert sorted(seen()) == [(1, 2), (2, 2)]


async def test_an_exporter_is_declared_with_columns_and_parts(here: Path) -> None:
    engine = engine_of(users=EXPORT, halves={**EXPORT, "parts": "shop.tasks:halves", "spread": True})
    async with TestEngine(engine) as t:
        await engine.dispatch("users", to=str(here / "users.csv"), least=8)
        await engine.dispatch("halves", to=str(here / "halves.csv"), least=9)
        await t.drain()
    assert (here / "users.csv").read_text().splitlines() == [
        "E-Mail,Age",
        "u8@example.org,8",
        "u9@example.org,9",
    ]
    assert (here / "halves.csv").read_text().count("u9@example.org") == 2


@pytest.mark.parametrize("kind", ["sync", "report", "job", None, "billing"])
async def test_plain_jobs_are_declared_with_any_kind(kind: str | None) -> None:
    own: dict[str, Any] = {} if kind is None else {"kind": kind}
    engine = engine_of(
        pull={"handler": "shop.tasks:sync_users", **own}, monthly={"handler": "shop.tasks:report", **own}
    )
    async with TestEngine(engine) as t:
        pulled = await engine.dispatch("pull", pages=3)
        report = await engine.dispatch("monthly", month="May")
        await t.drain()
        status = await pulled.status()
        assert (status.kind, status.processed, await pulled.result()) == (kind or "job", 3, 3)
        assert await report.result() == "report of May"


async def test_options_of_the_section_hold_from_the_start() -> None:
    engine = engine_of(monthly={"handler": "shop.tasks:report", "run_in": "process"})
    engine.declare_configured()
    assert engine.registry.get("monthly").run_in == "process"


async def test_engines_may_share_a_registry_and_open_again() -> None:
    registry = JobRegistry()
    config = {"jobs": {"monthly": {"handler": "shop.tasks:report"}}}
    for _ in range(2):
        engine = Engine("memory://", config=config, registry=registry)
        for _ in range(2):
            async with engine:
                assert list(registry.types) == ["monthly"]


@pytest.mark.parametrize(
    "section, message",
    [
        (
            {"handler": "shop.tasks:reprt"},
            "jobs.x.handler = 'shop.tasks:reprt' can't be used: .*did you mean 'report'",
        ),
        ({"handler": "shop.taks:report"}, "no module 'shop.taks'.*did you mean 'shop.tasks'"),
        ({"handler": "shopp.tasks:report"}, "no module 'shopp'.*"),
        ({"handler": "shop.tasks.report"}, "module:attribute.*did you mean 'shop.tasks:report'"),
        ({"handler": "shop.tasks:NUMBER"}, "neither a function nor a class, but int"),
        ({"handler": "shop.tasks:Silent"}, "whose objects can't be called; define __call__"),
        ({"handler": "shop.tasks:Needy"}, "was called without arguments and raised TypeError"),
        ({"handler": "shop.tasks:Users", "run_in": "process"}, "is a class, and run_in = 'process'"),
        ({"handler": "shop.tasks:sync_users", "run_in": "thread"}, r"\[jobs.x\]: .*is an async function"),
        (
            {"handler": "shop.tasks:report", "kind": "reprt"},
            "jobs.x.kind = 'reprt' is no kind.*did you mean 'report'",
        ),
        ({"handler": "shop.tasks:report", "row": "shop.tasks:User"}, "jobs.x.row is for kind = 'import'"),
        ({"handler": "shop.tasks:report", "key": "a"}, "jobs.x.key is for kind = 'import' or 'export'"),
        (
            {**USERS, "columns": ["a"]},
            "jobs.x.columns is for kind = 'export', and this is a type of kind 'import'",
        ),
        ({"handler": "shop.tasks:import_users", "kind": "import"}, "jobs.x needs row"),
        ({"handler": "shop.tasks:export_users", "kind": "export"}, "jobs.x needs columns"),
        (
            {**USERS, "row": "shop.tasks:Usr"},
            "jobs.x.row = 'shop.tasks:Usr' can't be used.*did you mean 'User'",
        ),
        ({**USERS, "row": "shop.tasks:report"}, "jobs.x.row = 'shop.tasks:report' is no type, but function"),
        ({**USERS, "key": "emial"}, r"\[jobs.x\]: .*'emial'"),
        ({**USERS, "key": ["email", "age"]}, "jobs.x.key is one field"),
        ({**USERS, "format": "exel"}, r"\[jobs.x\]: .*format must be one of"),
        ({**USERS, "handler": "shop.tasks:export_users"}, r"\[jobs.x\]: .*yields"),
        ({**EXPORT, "parts": "shop.tasks:halvs"}, "jobs.x.parts = 'shop.tasks:halvs' can't be used"),
        ({**EXPORT, "handler": "shop.tasks:report"}, r"\[jobs.x\]: exporter 'x': its handler is"),
        ({"row": "shop.tasks:User"}, "jobs.x.row declares a type, which needs jobs.x.handler"),
        (
            {"handler": "shop.tasks:report", "unique": {"by": ["mnth"]}},
            "unique is by 'mnth'.*did you mean 'month'",
        ),
    ],
)
async def test_what_is_wrong_is_named_at_the_start(section: dict[str, Any], message: str) -> None:
    engine = engine_of(good={"handler": "shop.tasks:report"}, x=section)
    with pytest.raises(ConfigError, match=message):
        await engine.__aenter__()
    assert not engine.registry.types
    assert not engine.is_open


async def test_a_module_that_raises_is_named_with_its_line(here: Path) -> None:
    (here / "shop" / "broken.py").write_text("\n1 / 0\n")
    with pytest.raises(ConfigError, match=r"jobs.x.handler.*ZeroDivisionError.*broken.py, line 2"):
        await engine_of(x={"handler": "shop.broken:f"}).__aenter__()


async def test_a_name_has_one_declaration() -> None:
    engine = engine_of(monthly={"handler": "shop.tasks:report"})

    @engine.job(name="monthly")
    async def monthly() -> None: ...

    with pytest.raises(ConfigError, match=r"the code registers too, as .*leave one of them out"):
        await engine.__aenter__()


async def test_a_kind_of_ones_own_that_is_near_another_is_declared() -> None:
    engine = Engine(
        "memory://",
        config={"jobs": {"x": {"handler": "shop.tasks:report", "kind": "reports"}}, "kinds": {"reports": {}}},
    )
    async with engine:
        assert engine.registry.get("x").kind == "reports"


CONFIG = """
url = "sqlite:///jobs.db"
app = "app:engine"

[jobs.users]
kind = "import"
handler = "shop.tasks:import_users"
row = "shop.tasks:User"

[jobs.here]
handler = "app:here"
"""

APP = """
from aiojobs_engine import Engine

engine = Engine()


async def here() -> str:
    return "done"
"""


def run(here: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments], cwd=here, capture_output=True, text=True, timeout=60, check=False
    )


def command(here: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(here, "-m", "aiojobs_engine", *arguments)


def test_the_command_line_knows_them(here: Path) -> None:
    (here / "aiojobs.toml").write_text(CONFIG)
    (here / "app.py").write_text(APP)
    (here / "users.csv").write_text("email,age\na@example.org,1\n")
    looked = command(here, "import", "users", "users.csv", "--dry-run")
    assert looked.returncode == 0, looked.stderr
    worked = command(here, "worker", "--burst")
    assert worked.returncode == 0, worked.stderr
    (here / "shop" / "tasks.py").write_text("broken(")
    listed = json.loads(command(here, "jobs", "list", "--url", "sqlite:///jobs.db", "--json").stdout)
    assert [(job["type"], job["status"]) for job in listed] == [("users", "completed")]
    broken = command(here, "worker", "--burst")
    assert broken.returncode == 2
    assert "jobs.users.handler" in broken.stderr
    assert len(broken.stderr.splitlines()) == 1


def test_a_program_is_found_by_its_own_name(here: Path) -> None:
    program = f"""{APP}
import asyncio

if __name__ == "__main__":
    async def main() -> None:
        async with engine:
            handle = await engine.dispatch("here")
            await engine.worker(burst=True).run()
            print(await handle.result(), engine.registry.get("here").fn is here)
    asyncio.run(main())
"""
    (here / "app.py").write_text(program)
    (here / "aiojobs.toml").write_text(CONFIG)
    ran = run(here, "app.py")
    assert ran.stdout == "done True\n", ran.stderr


def test_loading_them_is_no_work_for_the_loop(here: Path) -> None:
    engine = engine_of(monthly={"handler": "shop.tasks:report"})
    engine.declare_configured()
    assert engine.registry.get("monthly").call_plain(b'{"month":"May"}') == "report of May"
    asyncio.run(_opened(engine))


async def _opened(engine: Engine) -> None:
    async with engine:
        assert list(engine.registry.types) == ["monthly"]
