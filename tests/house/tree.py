"""The files of the repository, as the house rules read them."""

import ast
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_GIT_LISTING = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
_TEXT_BYTES = 1_000_000


@dataclass(frozen=True)
class Source:
    """One text file: its path from the root with forward slashes, and what it says."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)


Rule = Callable[[Source], Iterator[str]]


def tracked() -> list[str]:
    """Every file that git tracks or would, or without git every file outside hidden directories."""
    if (ROOT / ".git").exists():
        listing = subprocess.run(_GIT_LISTING, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [path for path in listing.stdout.split("\0") if path]
    else:
        paths = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*")]
        paths = [path for path in paths if not path.startswith(".") and "__pycache__" not in path]
    return sorted(path for path in paths if (ROOT / path).is_file())


def sources(folder: str = "", suffix: str = "") -> list[Source]:
    """The text files under `folder` whose name ends with `suffix`; data of more than 1 MB is left out."""
    found: list[Source] = []
    for path in tracked():
        file = ROOT / path
        if not path.startswith(folder) or not path.endswith(suffix) or file.stat().st_size > _TEXT_BYTES:
            continue
        try:
            found.append(Source(path, file.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found
