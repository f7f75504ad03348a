"""What a call of an importer takes beside its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypedDict, cast

import msgspec

from aiojobs_engine.core.errors import PayloadError, did_you_mean

MOST_ROWS = 100_000

ChunkSize = Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)]


class ImportCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a dispatch of an importer takes beside the source.

    Attributes:
        chunk_size: rows per chunk, 1 to 100,000; None for the importer's, else the configured size.
        mapping: columns of the source to fields of the row type.
        dry_run: read and check everything, call no handler.
        allow_duplicates: rows whose key came before in the source are handled too.
        force_single: run as one job, however many rows there are; all of them are in memory at once.
        max_failures: stop when more rows than these have failed.
        max_failure_rate: stop when a larger share than this, 0 to 1, of at least 100 rows has failed.
    """

    chunk_size: ChunkSize | None = None
    mapping: dict[str, str] = {}
    dry_run: bool = False
    allow_duplicates: bool = False
    force_single: bool = False
    max_failures: Annotated[int, msgspec.Meta(ge=0)] | None = None
    max_failure_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class ImportArguments(TypedDict, total=False):
    """The same for type checkers; see `ImportCall`."""

    chunk_size: int | None
    mapping: Mapping[str, str] | None
    dry_run: bool
    allow_duplicates: bool
    force_single: bool
    max_failures: int | None
    max_failure_rate: float | None


def parsed_call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ImportCall]:
    """The source and the rest of what the importer `name` was called with.

    Raises:
        PayloadError: an argument is missing, unknown or of another type.
    """
    named = dict(kwargs)
    if args:
        source, *others = args
    elif "source" in named:
        source, others = named.pop("source"), []
    else:
        raise PayloadError(f"{name}: the argument 'source' is missing", argument="source")
    if others:
        raise PayloadError(f"{name} takes one positional argument, the source; got {len(args)}")
    known = {*ImportCall.__struct_fields__, "source"}
    for argument, value in list(named.items()):
        if argument not in known or argument == "source":
            raise PayloadError(
                f"{name} takes no argument {argument!r}{did_you_mean(argument, known)}", argument=argument
            )
        if isinstance(value, Mapping):
            named[argument] = dict(cast("Mapping[object, object]", value))
        elif value is None and argument == "mapping":
            del named[argument]
    try:
        return source, msgspec.convert(named, ImportCall)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        wrong = place.strip("`").split("[")[0] or None
        raise PayloadError(f"{name}: {wrong}: {message}", argument=wrong) from error
