"""The pytest plugin in a project of its own, under each way of running async tests."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
import pytest
from aiojobs_engine import Engine

engine = Engine("sqlite:///never-made.db")


@engine.job(name="add")
async def add(a: int, b: int) -> int:
    return a + b

{marker}
async def test_add(aiojobs):
    async with aiojobs(engine) as t:
        handle = await engine.dispatch(add, a=1, b=2)
        assert await t.drain() == {{"completed": 1}}
        assert await handle.result() == 3
        t.assert_dispatched(add, a=1)
"""
SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]
ANYIO = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.parametrize(
    "marker, options",
    [
        ("", ["-o", "asyncio_mode=auto", *SCOPE]),
        ("@pytest.mark.asyncio", ["-o", "asyncio_mode=strict", *SCOPE]),
        ("@pytest.mark.anyio", ["-p", "no:asyncio"]),
    ],
    ids=["asyncio auto", "asyncio strict", "anyio"],
)
def test_the_fixture_needs_nothing_but_the_package(tmp_path: Path, marker: str, options: list[str]) -> None:
    (tmp_path / "test_app.py").write_text(PROJECT.format(marker=marker), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(ANYIO, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert not (tmp_path / "never-made.db").exists()
