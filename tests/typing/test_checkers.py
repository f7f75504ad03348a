"""The public API under mypy strict and pyright strict: right calls pass, wrong ones are refused by both."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT

HERE = Path(__file__).parent
RIGHT = HERE / "right_calls.py"
WRONG = HERE / "wrong_calls.py"
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

_MYPY_REFUSES = "# type: ignore["
_PYRIGHT_REFUSES = "# pyright: ignore["
_COMMENTS = re.compile(r"\s*# (type|pyright): ignore\[.*$")

Refusals = dict[int, str]
Checker = Callable[[Path], Refusals]


def mypy(file: Path) -> Refusals:
    """What mypy says against a file, by line."""
    ran = _ran("mypy", "--output", "json", str(file))
    said = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    errors = [each for each in said if each["severity"] == "error" and Path(each["file"]).name == file.name]
    return {each["line"]: each["message"] for each in errors}


def pyright(file: Path) -> Refusals:
    """What pyright says against a file, by line."""
    ran = _ran("basedpyright", "--pythonpath", sys.executable, "--outputjson", str(file))
    said: list[dict[str, Any]] = json.loads(ran.stdout)["generalDiagnostics"]
    return {each["range"]["start"]["line"] + 1: each["message"] for each in said}


def _ran(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode in (0, 1), ran.stdout + ran.stderr
    return ran


def marked() -> list[int]:
    return [number for number, line in _lines() if _COMMENTS.search(line)]


def _lines() -> list[tuple[int, str]]:
    return list(enumerate(WRONG.read_text(encoding="utf-8").splitlines(), 1))


def _without_comments(directory: Path) -> Path:
    bare = directory / "wrong_calls.py"
    bare.write_text("".join(f"{_COMMENTS.sub('', line)}\n" for _, line in _lines()), encoding="utf-8")
    return bare


@pytest.mark.timeout(180)
@pytest.mark.parametrize("checker", [mypy, pyright])
class TestPublicApi:
    def test_right_calls_are_accepted(self, checker: Checker) -> None:
        assert checker(RIGHT) == {}

    def test_the_examples_are_accepted(self, checker: Checker) -> None:
        assert {example.name: checker(example) for example in EXAMPLES} == {
            example.name: {} for example in EXAMPLES
        }

    def test_wrong_calls_are_refused_line_by_line(self, checker: Checker, tmp_path: Path) -> None:
        refused = checker(_without_comments(tmp_path))

        assert sorted(refused) == marked()

    def test_the_comments_of_wrong_calls_are_all_used(self, checker: Checker) -> None:
        assert checker(WRONG) == {}

    def test_a_wrong_type_in_an_assertion_is_seen(self, checker: Checker, tmp_path: Path) -> None:
        lie = tmp_path / "lie.py"
        text = RIGHT.read_text(encoding="utf-8")
        lie.write_text(text.replace("assert_type(await send(42), str)", "assert_type(await send(42), int)"))

        assert len(checker(lie)) == 1


def test_every_wrong_call_is_marked_for_both_checkers() -> None:
    halves = [number for number, line in _lines() if (_MYPY_REFUSES in line) != (_PYRIGHT_REFUSES in line)]

    assert len(marked()) > 70
    assert halves == []
