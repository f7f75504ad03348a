"""The statements of an outbox: one per file in `sql/`, with braces around what a driver can't bind."""

from importlib.resources import files

_PACKAGE = "aiojobs_engine.outbox"

_STATEMENTS = {
    file.name.removesuffix(".sql"): " ".join(
        line.strip() for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("--")
    )
    for file in files(_PACKAGE).joinpath("sql").iterdir()
    if file.name.endswith(".sql")
}


def statement(name: str, **parts: str) -> str:
    """The text of `sql/<name>.sql`, filled in; the parts are names and numbers that were checked."""
    return _STATEMENTS[name].format(**parts)
