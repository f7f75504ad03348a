"""What an importer says of its sources, so that nothing of it is searched for in each of them."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from aiojobs_engine.bulk.sources.encoding import checked_encoding
from aiojobs_engine.bulk.sources.opening import Declared, Format
from aiojobs_engine.core.errors import ConfigError, did_you_mean

NAMES = ("format", "encoding", "delimiter", "header", "sheet")


def declared_by(name: str, options: Mapping[str, Any]) -> Declared:
    """What the importer `name` declares.

    Raises:
        ConfigError: it can't be so.
    """
    given = {option: options[option] for option in NAMES if options.get(option) is not None}
    for option, value in given.items():
        if option != "header" and not isinstance(value, str):
            raise ConfigError(f"importer {name!r}: {option} must be a string, got {value!r:.80}")
    kind, delimiter = given.get("format"), given.get("delimiter")
    if kind is not None and kind not in get_args(Format):
        known = get_args(Format)
        raise ConfigError(
            f"importer {name!r}: format must be one of {', '.join(known)}, got {kind!r}"
            f"{did_you_mean(kind, known)}"
        )
    if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n'):
        raise ConfigError(f"importer {name!r}: delimiter must be one ASCII character, got {delimiter!r}")
    if "encoding" in given:
        try:
            given["encoding"] = checked_encoding(given["encoding"])
        except ValueError as error:
            raise ConfigError(f"importer {name!r}: {error}") from None
    if "header" in given:
        given["header"] = _columns(name, given["header"])
    return Declared(**given)


def _columns(name: str, header: object) -> tuple[str, ...]:
    names = list(cast("list[object]", header)) if isinstance(header, list | tuple) else []
    columns = tuple(column for column in names if isinstance(column, str) and column)
    if not columns or len(set(columns)) != len(names):
        raise ConfigError(
            f"importer {name!r}: header lists the names of all columns, each once, got {header!r:.80}"
        )
    return columns
