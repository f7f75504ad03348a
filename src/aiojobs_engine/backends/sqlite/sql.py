"""The statements: one per file in `sql/`, named by its verb.

For a line `--: NAME` stands what `sql/shared/NAME.sql` holds. All are read when the package is imported, so
that none is missing when no file can be opened any more.
"""

import re
from functools import cache
from importlib.resources import files

_PACKAGE = "aiojobs_engine.backends.sqlite"
_SUFFIX = ".sql"

_SHARED = re.compile(r"^ *--: (\w+)\n", re.MULTILINE)
_FOLDER = files(_PACKAGE).joinpath("sql")


def _shared(use: re.Match[str]) -> str:
    return _FOLDER.joinpath("shared", f"{use[1]}{_SUFFIX}").read_text(encoding="utf-8")


_STATEMENTS = {
    file.name.removesuffix(_SUFFIX): _SHARED.sub(_shared, file.read_text(encoding="utf-8"))
    for file in _FOLDER.iterdir()
    if file.name.endswith(_SUFFIX)
}


def sql(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return _STATEMENTS[name]


@cache
def migration(number: int) -> str | None:
    """The script that brings a database to schema version `number`; None when there is no such version."""
    found = [
        file
        for file in files(_PACKAGE).joinpath("migrations").iterdir()
        if file.name.startswith(f"{number:04}_")
    ]
    return found[0].read_text(encoding="utf-8") if found else None
