"""Links lead somewhere, pages can be reached, code compiles, and the house rules for words hold."""

import ast
import re

import pytest

from tests.docs.markdown import Page, page, pages
from tests.house.tree import ROOT

SIGNATURES = "docs/reference/api.md"

_HYPE = re.compile(
    r"\b(blazing|lightning|powerful|seamless\w*|effortless\w*|robust|elegant|beautiful|delightful|awesome"
    r"|cutting-edge|state-of-the-art|world-class|best-in-class|super|simply|just|easy|easily)\b",
    re.IGNORECASE,
)


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Page) else None


def _leads_nowhere(source: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = source if not path else Page((source.path.parent / path).resolve())
    if not target.path.exists():
        return True
    return bool(anchor) and target.path.suffix == ".md" and anchor not in target.anchors


@pytest.mark.parametrize("source", pages(), ids=_name)
def test_every_link_leads_somewhere(source: Page) -> None:
    local = [link for link in source.links if not link.startswith(("http://", "https://", "mailto:"))]

    assert [link for link in local if _leads_nowhere(source, link)] == []


def test_a_broken_link_would_be_found() -> None:
    source = page("README.md")

    assert _leads_nowhere(source, "docs/nowhere.md")
    assert _leads_nowhere(source, "docs/reference/statuses.md#nowhere")
    assert not _leads_nowhere(source, "docs/reference/statuses.md#all-moves")


def test_every_page_of_the_docs_can_be_reached_from_the_index() -> None:
    start = page("docs/index.md")
    reached, left = {start.path}, [start]
    while left:
        source = left.pop()
        for link in source.links:
            target = (source.path.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.add(target)
                left.append(Page(target))

    lost = [each.name for each in pages() if each.name.startswith("docs/") and each.path not in reached]
    assert lost == [], "link these pages from docs/index.md"


@pytest.mark.parametrize("source", [each for each in pages() if each.name != SIGNATURES], ids=_name)
def test_code_that_is_not_run_compiles(source: Page) -> None:
    for block in source.blocks:
        if block.language == "py":
            compile(block.text, f"{source.name}:{block.line}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    assert source.text.startswith("# ")


@pytest.mark.parametrize("source", pages(), ids=_name)
def test_the_words_are_plain(source: Page) -> None:
    assert _HYPE.findall(source.text) == []


def test_the_pages_are_found() -> None:
    assert {"README.md", "docs/index.md"} <= {each.name for each in pages()}
    assert (ROOT / "docs").is_dir()


def test_the_program_of_the_readme_is_the_example() -> None:
    (program,) = (block for block in page("README.md").blocks if block.title == "quickstart.py")
    example = (ROOT / "examples" / "quickstart.py").read_text(encoding="utf-8")
    _, _, code = example.partition('"""\n\n')

    assert program.text == code
