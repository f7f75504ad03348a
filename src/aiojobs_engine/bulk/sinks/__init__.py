"""What exports write: CSV, TSV, JSON lines, Excel and Parquet, plain or compressed, by the name's end."""

from typing import NamedTuple

from aiojobs_engine.bulk.columns import Columns
from aiojobs_engine.bulk.sinks.compression import COMPRESSIONS
from aiojobs_engine.bulk.sinks.delimited import Delimited
from aiojobs_engine.bulk.sinks.excel import Excel
from aiojobs_engine.bulk.sinks.json_lines import JsonLines
from aiojobs_engine.bulk.sinks.parquet import Parquet
from aiojobs_engine.bulk.sinks.sink import Sink
from aiojobs_engine.core.errors import PayloadError, did_you_mean

__all__ = ["FORMATS", "Format", "Sink", "format_of", "sink_of"]

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "jsonl": "application/jsonl",
    "ndjson": "application/jsonl",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}


class Format(NamedTuple):
    """The form of a file: one of `FORMATS`, and one of `COMPRESSIONS` or None."""

    name: str
    compression: str | None

    @property
    def suffix(self) -> str:
        """How names of such files end."""
        return f".{self.name}.{self.compression}" if self.compression else f".{self.name}"

    @property
    def media_type(self) -> str:
        """What a web server calls it."""
        return COMPRESSIONS[self.compression] if self.compression else FORMATS[self.name]


def format_of(name: str) -> Format:
    """The form that the end of a file's name asks for.

    Raises:
        PayloadError: exports have no such form.
    """
    *rest, last = name.lower().split(".")
    compression = last if last in COMPRESSIONS and rest else None
    if compression is not None:
        *rest, last = rest
    if not rest or last not in FORMATS:
        known = [f".{form}" for form in FORMATS]
        hint = did_you_mean(f".{last}", known) if rest else ""
        raise PayloadError(
            f"{name!r:.120}: an export is written as {', '.join(known)}, "
            f"each may be followed by {' or '.join('.' + each for each in COMPRESSIONS)}{hint}",
            argument="to",
        )
    return Format(last, compression)


def sink_of(form: Format, columns: Columns) -> Sink:
    """The writer of a form.

    Raises:
        ConfigError: it needs an extra that is not installed, or can't have such columns.
    """
    match form.name:
        case "csv":
            return Delimited(columns, ",")
        case "tsv":
            return Delimited(columns, "\t")
        case "xlsx":
            return Excel(columns)
        case "parquet":
            return Parquet(columns)
        case _:
            return JsonLines(columns)
