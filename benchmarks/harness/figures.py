"""Figures with their goals, and how a scenario prints them: as a table or as JSON."""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value: the median of several runs and how far they lay apart.

    Attributes:
        unit: what it is counted in; "x" is a ratio within one run.
        at_least, at_most: the goal, None without one.
    """

    name: str
    value: float
    low: float
    high: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met, None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.at_most is None else self.value <= self.at_most

    @property
    def verdict(self) -> str:
        """The goal in words, and whether it is met."""
        if self.is_met is None:
            return ""
        bound = f"≥ {_short(self.at_least)}" if self.at_least is not None else f"≤ {_short(self.at_most)}"
        return f"{bound} {'met' if self.is_met else 'MISSED'}"


def figure(
    name: str,
    values: Sequence[float],
    unit: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Figure:
    """The median of `values`, which come from several runs."""
    return Figure(
        name=name,
        value=statistics.median(values),
        low=min(values),
        high=max(values),
        unit=unit,
        at_least=at_least,
        at_most=at_most,
    )


def share_below(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 .. 1) of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much a scenario does.

    Attributes:
        jobs: how many jobs per run.
        repeats: how many runs, of which the median counts.
        seconds: how long what is measured by time takes.
    """

    jobs: int
    repeats: int = 5
    seconds: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Something to measure.

    Attributes:
        about: what is done, in a sentence or two, with the settings that matter.
        quick: how much of it is enough for a first impression.
    """

    name: str
    about: str
    measure: Callable[[Options], Awaitable[list[Figure]]]
    options: Options
    quick: Options

    async def run(self, options: Options) -> list[Figure]:
        """Measure."""
        return await self.measure(options)


def main(scenario: Scenario) -> None:
    """Measure as the command line says, and print."""
    parser = argparse.ArgumentParser(description=scenario.about)
    parser.add_argument("--jobs", type=int, help="jobs per run")
    parser.add_argument("--repeats", type=int, help="runs, of which the median counts")
    parser.add_argument("--seconds", type=float, help="length of what is measured by time")
    parser.add_argument("--quick", action="store_true", help="less of everything, for a first impression")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = vars(parser.parse_args())
    options = scenario.quick if given["quick"] else scenario.options
    chosen = {name: given[name] for name in ("jobs", "repeats", "seconds") if given[name] is not None}
    options = replace(options, **chosen)
    before = os.getloadavg()[0]
    figures = asyncio.run(scenario.run(options))
    setting = {**machine(), "load": [round(before, 2), round(os.getloadavg()[0], 2)]}
    print(
        as_json(scenario, options, figures, setting)
        if given["json"]
        else as_text(scenario, options, figures, setting)
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "aiojobs_engine": version("aiojobs-engine"),
        "huey": version("huey"),
    }


def as_text(scenario: Scenario, options: Options, figures: Sequence[Figure], setting: dict[str, Any]) -> str:
    """The figures as a table under what they were measured on."""
    lines = [
        f"{scenario.name}: {scenario.about}",
        "  " + ", ".join(f"{key} {value}" for key, value in setting.items()),
    ]
    lines.append("  " + ", ".join(f"{key} {value}" for key, value in asdict(options).items()))
    return "\n".join([*lines, *table(figures)])


def table(figures: Sequence[Figure]) -> list[str]:
    """One line per figure: name, median, range, unit, goal."""
    width = max(len(each.name) for each in figures)
    lines: list[str] = []
    for each in figures:
        spread = f"[{_short(each.low)} .. {_short(each.high)}]" if each.low != each.high else ""
        value = f"{_short(each.value):>9} {each.unit:<6}"
        lines.append(f"  {each.name:<{width}}  {value} {spread:<22} {each.verdict}".rstrip())
    return lines


def as_markdown(figures: Mapping[str, Sequence[Figure]]) -> str:
    """Figures by scenario as a table for a page."""
    lines = ["| scenario | figure | median | lowest to highest | goal |", "| --- | --- | --- | --- | --- |"]
    for name, some in figures.items():
        for index, each in enumerate(some):
            spread = f"{_short(each.low)} to {_short(each.high)}" if each.low != each.high else ""
            value = f"{_short(each.value)} {each.unit}".rstrip()
            lines.append(f"| {'' if index else name} | {each.name} | {value} | {spread} | {each.verdict} |")
    return "\n".join(lines)


def as_json(scenario: Scenario, options: Options, figures: Sequence[Figure], setting: dict[str, Any]) -> str:
    """The same as one JSON object."""
    told = [{**asdict(each), "is_met": each.is_met} for each in figures]
    record = {"scenario": scenario.name, "machine": setting, "options": asdict(options), "figures": told}
    return json.dumps(record, indent=2)


def _short(number: float | None) -> str:
    if number is None:
        return ""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) >= 1 else f"{number:.3f}"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _file_system() -> str:
    command = ["stat", "--file-system", "--format=%T", tempfile.gettempdir()]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "unknown"


if sys.platform != "linux":
    raise SystemExit("the benchmarks read the kernel's counters, so they need Linux")
