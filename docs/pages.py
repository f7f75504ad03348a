"""Generated parts of pages: what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`."""

# ruff: noqa: INP001 - scripts beside the pages that they write

from collections.abc import Mapping
from pathlib import Path

DOCS = Path(__file__).parent


def updated(text: str, parts: Mapping[str, str]) -> str:
    """The text of a page with its parts made anew.

    Raises:
        ValueError: the page has no place for a part.
    """
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"the page has no one place for {name!r}")
        before, after = text[: text.index(begin) + len(begin)], text[text.index(end) :]
        text = f"{before}\n{part.strip()}\n\n{after}"
    return text


def write(page: Path, parts: Mapping[str, str]) -> None:
    """Update a page in place."""
    page.write_text(updated(page.read_text(encoding="utf-8"), parts), encoding="utf-8")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
