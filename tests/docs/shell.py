"""The console blocks of a page, run as they stand in one directory, their output beside what the page shows.

A line `^C` in the output sends SIGINT once everything before it was printed; a line `...` stands for any
number of lines. Ids, times, process numbers and rates are compared by their form. The warning of SQLite
versions that can lose commits is passed over: it depends on the machine.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from tests.docs.markdown import Block

PROMPT = "$ "

_SECONDS = 50.0
_INTERRUPT = "^C"
_ANY = "..."
_WARNING = "walresetbug"
_ID = re.compile(r"\b01[0-9a-f]{25}\b")
_FORMS = [
    (_ID.pattern, "ID"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d([.,]\d+)?(Z|\+00:00)?", "TIME"),
    (r"\bpid \d+", "pid N"),
    (r"sqlite:////\S+/aiojobs-demo-\w+/", "sqlite:////DEMO/"),
    (r"\b\d[\d,]*(\.\d+)? ?(s|ms|rows/s|MB)\b", "AMOUNT"),
    (r"\b\d+ passed", "N passed"),
    (r"[ \t]+", " "),
    (r"\x1b\[[0-9;]*m", ""),
]


@dataclass(frozen=True)
class Command:
    """A command line and what the page says that it prints."""

    line: str
    expected: list[str]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block, in order."""
    line, expected = "", list[str]()
    for each in block.text.splitlines():
        if each.startswith(PROMPT):
            if line:
                yield Command(line, expected)
            line, expected = each.removeprefix(PROMPT), []
        elif line.endswith("\\"):
            line = line.removesuffix("\\") + each.lstrip()
        else:
            expected.append(each)
    if line:
        yield Command(line, expected)


def run(command: Command, directory: Path) -> list[str]:
    """What the command prints on both outputs, in order."""
    with subprocess.Popen(
        command.line,
        shell=True,
        executable="/bin/bash",
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = Timer(_SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            return list(_lines(process, command))
        finally:
            watchdog.cancel()


def met(expected: list[str], printed: list[str]) -> dict[str, str]:
    """The ids that stand on the page, each with the one that was printed in its place."""
    return dict(zip(_ids(expected), _ids(printed), strict=False))


def with_real(command: Command, ids: Mapping[str, str]) -> Command:
    """The command with the ids of this run in the place of those on the page."""
    line = _ID.sub(lambda found: ids.get(found[0], found[0]), command.line)
    return Command(line, command.expected)


def agrees(printed: list[str], expected: list[str]) -> bool:
    """Whether the lines are those of the page, forms for facts that change and `...` for any lines."""
    pattern = "".join(_pattern(line) for line in expected if line != _INTERRUPT)
    return re.fullmatch(pattern, "".join(f"{formed(line)}\n" for line in printed)) is not None


def formed(line: str) -> str:
    """A line with forms in the place of what differs from run to run."""
    for form, name in _FORMS:
        line = re.sub(form, name, line)
    return line.strip()


def environment() -> dict[str, str]:
    """That of a new user: nothing configured, this interpreter's programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIOJOBS_", "PYTEST_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    pytest = "-p no:cacheprovider -p no:randomly -o asyncio_default_fixture_loop_scope=function"
    quiet = {"PYTHONUNBUFFERED": "1", "PYTEST_ADDOPTS": pytest, "COLUMNS": "100", "NO_COLOR": "1"}
    return kept | quiet | {"PATH": path}


def _lines(process: "subprocess.Popen[str]", command: Command) -> Iterator[str]:
    assert process.stdout is not None
    before = _before_interrupt(command.expected)
    count = 0
    for line in process.stdout:
        if _WARNING in line:
            continue
        count += 1
        yield line.rstrip("\n")
        if count == before:
            os.killpg(process.pid, signal.SIGINT)


def _ids(lines: list[str]) -> list[str]:
    return list(dict.fromkeys(_ID.findall("\n".join(lines))))


def _before_interrupt(expected: list[str]) -> int:
    """After how many lines the signal is due; 0 for never."""
    return expected.index(_INTERRUPT) if _INTERRUPT in expected else 0


def _pattern(line: str) -> str:
    return "(?:.*\n)*?" if line.strip() == _ANY else f"{re.escape(formed(line))}\n"
