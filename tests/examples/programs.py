"""Example programs, each in a process of its own with a new directory to work in."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import IO, Any

from tests.house.tree import ROOT

EXAMPLES = ROOT / "examples"

_SECONDS = 30.0


def run(name: str, directory: Path) -> str:
    """What a program prints; it must end well."""
    command = [sys.executable, str(EXAMPLES / name)]
    ran = subprocess.run(
        command,
        cwd=directory,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@contextmanager
def serving(name: str, directory: Path, running_on: str) -> Generator[str]:
    """The address of a web app, from the moment it says `running_on ADDRESS` until it has ended well."""
    log = directory / "log.txt"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name)],
            cwd=directory,
            env=_environment() | {"PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        watchdog = Timer(_SECONDS, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            yield _address(process.stdout, running_on, written)
            process.send_signal(signal.SIGTERM)
            written.write(process.communicate()[0])
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
    assert "Traceback" not in log.read_text(encoding="utf-8")


def _address(output: IO[bytes], running_on: str, written: IO[bytes]) -> str:
    for line in output:
        written.write(line)
        before, found, after = line.decode().partition(running_on)
        if found:
            del before
            return after.split()[0]
    raise AssertionError("the app ended before it served")


def called(url: str, body: object = None) -> tuple[int, Any]:
    """The status and the JSON of an answer; with a body it is a POST."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, data, timeout=_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIOJOBS_")}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}
