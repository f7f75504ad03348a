"""Pages as the tests of the docs read them: fenced blocks, links, headings.

What a block is for stands in its first line: ```python is run where it stands, ```py is only compiled, one
with title="NAME" is a file, ```console holds commands after `$ ` and what they print.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.house.tree import ROOT

_FENCE = re.compile(r"^(`{3,})(.*)$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*)$")
_HIDDEN = re.compile(r"^<!-- (\w+)$")
_CODE = re.compile(r"`[^`]*`")


@dataclass(frozen=True)
class Block:
    """A fenced block, or a hidden one in a comment whose first line is `<!-- LANGUAGE`.

    Attributes:
        line: of its first line of content.
        title: the file that it is, empty for none.
    """

    language: str
    title: str
    text: str
    line: int


@dataclass(frozen=True)
class Page:
    """One page of the docs."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def blocks(self) -> list[Block]:
        return list(_blocks(self.text.splitlines()))

    @property
    def links(self) -> list[str]:
        return [
            link for line in _prose(self.text.splitlines()) for link in _LINK.findall(_CODE.sub("", line))
        ]

    @property
    def anchors(self) -> set[str]:
        headings = (_HEADING.match(line) for line in _prose(self.text.splitlines()))
        return {_anchor(found[1]) for found in headings if found}


def pages() -> list[Page]:
    """Every page that people read."""
    roots = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [Page(path) for path in [*roots, *sorted((ROOT / "docs").rglob("*.md"))]]


def page(name: str) -> Page:
    """The page at a path from the root."""
    return Page(ROOT / name)


def _blocks(lines: list[str]) -> Iterator[Block]:
    end, info, begun = "", "", 0
    for number, line in enumerate(lines):
        if not end:
            if (fence := _FENCE.match(line)) is not None:
                end, info, begun = fence[1], fence[2], number + 1
            elif (hidden := _HIDDEN.match(line)) is not None:
                end, info, begun = "-->", hidden[1], number + 1
        elif line.strip() == end:
            language, _, rest = info.partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            text = "".join(f"{each}\n" for each in lines[begun:number])
            yield Block(language, title[1] if title else "", text, begun + 1)
            end = ""


def _prose(lines: list[str]) -> Iterator[str]:
    end = ""
    for line in lines:
        fence = _FENCE.match(line)
        if end:
            end = "" if line.strip() == end else end
        elif fence is not None:
            end = fence[1]
        else:
            yield line


def _anchor(heading: str) -> str:
    plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return plain.strip().replace(" ", "-")
