"""The table of cases in the README, held to the markers of the tests."""

import ast
import re
from collections import defaultdict
from pathlib import PurePosixPath

from tests.house.tree import ROOT, sources

HERE = "tests/cases/"
ELSEWHERE = set[str]()
ALL = (
    [f"W{number}" for number in range(1, 21)]
    + [f"L{number}" for number in range(1, 14)]
    + [f"J{number}" for number in range(1, 21)]
    + [f"C{number}" for number in range(1, 12)]
    + [f"R{number}" for number in range(1, 23)]
    + [f"E{number}" for number in range(1, 11)]
    + [f"X{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 19, 20, 26)]
)
ROW = re.compile(r"\| ([WLJCREX]\d+) \| ([^|]+) \| ([^|]*)\| ([^|]*)\|")


def _marked() -> dict[str, set[str]]:
    """The test files that show a case, as the README names them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for source in sources("tests/", ".py"):
        path = PurePosixPath(source.path.removeprefix("tests/").removeprefix("cases/"))
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.case":
                for name in node.args:
                    found[ast.literal_eval(name)].add(str(path.with_suffix("")))
    return dict(found)


def _rows() -> dict[str, set[str]]:
    """The cases of the README, with the test files that it names."""
    text = (ROOT / HERE / "README.md").read_text(encoding="utf-8")
    rows = ROW.findall(text)
    assert len(rows) == len({row[0] for row in rows})
    return {case: {name.strip() for name in files.split(",") if name.strip()} for case, _, files, _ in rows}


def test_every_case_is_shown_by_a_test_or_belongs_elsewhere() -> None:
    assert set(_marked()) == set(ALL) - ELSEWHERE


def test_the_table_has_every_case_in_order_with_the_files_that_show_it() -> None:
    rows = _rows()

    assert list(rows) == ALL
    assert {case: files for case, files in rows.items() if files} == _marked()
