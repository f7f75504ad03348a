"""The formats that rows come in: each finds its record boundaries and reads slices of them."""

from aiojobs_engine.bulk.sources.delimited import Delimited
from aiojobs_engine.bulk.sources.json_lines import JsonLines

__all__ = ["Delimited", "Form", "JsonLines"]

Form = Delimited | JsonLines
"""How rows stand in the storage, whatever they came in."""
