"""The table of weaknesses in seeds.md, held to the markers of the tests."""

import ast
import re
from collections import defaultdict
from pathlib import PurePosixPath

from tests.house.tree import ROOT, sources

ROW = re.compile(r"^\| (DJ-\d+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def _marked() -> dict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for source in sources("tests/", ".py"):
        path = str(PurePosixPath(source.path.removeprefix("tests/")).with_suffix(""))
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.seed":
                for name in node.args:
                    found[ast.literal_eval(name)].add(path)
    return dict(found)


def test_the_table_names_every_marked_test_and_no_other() -> None:
    rows = ROW.findall((ROOT / "tests" / "seeds.md").read_text(encoding="utf-8"))

    assert {name: {file.strip() for file in files.split(",")} for name, files in rows} == _marked()
    assert [name for name, _ in rows] == sorted(_marked(), key=lambda name: int(name.removeprefix("DJ-")))
