"""What the package declares, and what importing it costs."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from typing import Any

from tests.house.tree import ROOT

HEAVY = [
    "aiohttp",
    "aiosqlite",
    "httpx2",
    "jinja2",
    "opentelemetry.sdk",
    "redis",
    "rich",
    "starlette",
    "uvicorn",
]
PLUGIN = ROOT / "src/aiojobs_engine/testing/plugin.py"
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[^\s;]+( ; .+)?")


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _pins() -> list[str]:
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _is_written(target: str) -> bool:
    return (ROOT / "src" / f"{target.split(':', maxsplit=1)[0].replace('.', '/')}.py").exists()


def _imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_importing_the_package_loads_no_driver_and_no_extra() -> None:
    assert sorted(_imported_by("import aiojobs_engine") & set(HEAVY)) == []


def test_a_heavy_import_would_be_seen() -> None:
    assert "redis" in _imported_by("import redis") & set(HEAVY)


def test_the_pins_are_versions_and_nothing_else() -> None:
    assert [line for line in _pins() if not PIN.fullmatch(line)] == []


def test_every_core_dependency_is_pinned() -> None:
    names = {re.split(r"[^A-Za-z0-9_-]", need)[0].lower() for need in _project()["project"]["dependencies"]}

    assert names - {pin.split("==")[0].split("[")[0] for pin in _pins()} == set()


def test_all_names_every_extra() -> None:
    extras = _project()["project"]["optional-dependencies"]

    assert extras["all"] == [f"aiojobs-engine[{','.join(name for name in extras if name != 'all')}]"]


def test_every_entry_point_is_there() -> None:
    project = _project()["project"]
    targets = [*project["scripts"].values(), *project["entry-points"]["pytest11"].values()]

    for target in targets:
        if _is_written(target):
            assert EntryPoint("target", target, "group").load() is not None


def test_nothing_keeps_the_plugin_from_loading_itself() -> None:
    addopts = _project()["tool"]["pytest"]["ini_options"]["addopts"]

    assert not (PLUGIN.exists() and "no:aiojobs_engine" in addopts), (
        "take '-p no:aiojobs_engine' out of pyproject"
    )
