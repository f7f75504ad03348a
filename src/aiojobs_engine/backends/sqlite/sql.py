"""The statements: one per file in `sql/`, named by its verb."""

from functools import cache
from importlib.resources import files

_PACKAGE = "aiojobs_engine.backends.sqlite"


@cache
def sql(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return files(_PACKAGE).joinpath("sql", name + ".sql").read_text(encoding="utf-8")


@cache
def migration(number: int) -> str | None:
    """The script that brings a database to schema version `number`; None when there is no such version."""
    found = [
        file
        for file in files(_PACKAGE).joinpath("migrations").iterdir()
        if file.name.startswith(f"{number:04}_")
    ]
    return found[0].read_text(encoding="utf-8") if found else None
