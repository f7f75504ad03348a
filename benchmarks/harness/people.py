"""Rows to import, and what reads them without an engine."""

import csv
import subprocess
import time
from collections.abc import Container
from pathlib import Path

import msgspec


class Person(msgspec.Struct):
    """A row."""

    email: str
    name: str
    age: int


def write_people(path: Path, rows: int, bad: Container[int] = ()) -> None:
    """Write `rows` people as CSV, the first as number 0; the age of those in `bad` is no number."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name,age\n")
        for number in range(rows):
            age = "unknown" if number in bad else number % 90
            file.write(f"user{number}@example.org,Name Number {number},{age}\n")


def bare_per_second(path: Path) -> float:
    """Rows per second of a loop of `csv` and msgspec, row by row, as anybody would write it."""
    convert = msgspec.convert
    count = 0
    begun = time.perf_counter()
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        for row in reader:
            convert(dict(zip(header, row, strict=True)), Person, strict=False)
            count += 1
    return count / (time.perf_counter() - begun)


def django_per_second(python: str, path: Path) -> float:
    """Rows per second of django-import-export, run by the interpreter of an environment that has it.

    Raises:
        CalledProcessError: it failed.
    """
    script = Path(__file__).with_name("django_rows.py")
    command = [python, str(script), str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
