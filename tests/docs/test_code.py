"""The code of README and docs does what the pages say: it runs as it stands, and prints what is shown."""

import ast
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.docs.markdown import Block, Page, page, pages
from tests.docs.shell import Command, agrees, commands, formed, met, run, with_real
from tests.house.tree import ROOT

RUN_HERE = [each for each in pages() if {block.language for block in each.blocks} & {"python", "console"}]


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Page) else None


def _compiled(page: Page, block: Block) -> Any:
    source = "\n" * (block.line - 1) + block.text
    return compile(source, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def _execute(page: Page, block: Block, module: ModuleType) -> None:
    code = _compiled(page, block)
    if code.co_flags & inspect.CO_COROUTINE:
        await eval(code, module.__dict__)
    else:
        exec(code, module.__dict__)


def _shell(block: Block, directory: Path, ids: dict[str, str]) -> None:
    for command in commands(block):
        printed = run(with_real(command, ids), directory)
        ids.update(met(command.expected, printed))
        if not agrees(printed, command.expected):
            wanted = "\n".join(map(formed, command.expected))
            pytest.fail(f"$ {command.line}\nprinted\n{chr(10).join(printed)}\nthe page shows\n{wanted}")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", RUN_HERE, ids=_name)
async def test_the_code_of_the_page_runs(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = ModuleType("app")
    monkeypatch.setitem(sys.modules, "app", module)
    ids = dict[str, str]()
    ran = 0

    for block in page.blocks:
        if block.title:
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            await _execute(page, block, module)
        elif block.language == "console":
            _shell(block, tmp_path, ids)
        ran += 1

    assert ran > 0


def test_the_demo_prints_what_the_readme_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shown = [block for block in page("README.md").blocks if block.text.startswith("importing examples/")]
    demo = Command("python -m aiojobs_engine demo", shown[0].text.splitlines())

    assert agrees(run(demo, ROOT), demo.expected)
