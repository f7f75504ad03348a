"""A small app in a directory of its own, and the command line called as a user calls it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine.cli.main import run

APP = """
import asyncio
from typing import Annotated

import msgspec

from aiojobs_engine import Engine, JobContext, Retry

config = {"worker": {"lease": 2.0, "cancel_timeout": 0.2}, "listeners": {"log": False}}
engine = Engine("sqlite:///jobs.db", config=config)


@engine.job(name="greet", queue="mail")
async def greet(name: str, times: int = 1) -> str:
    return "Hello, " + " and ".join([name] * times)


@engine.job(name="fail", retry=Retry.none())
async def fail(words: str) -> None:
    raise ValueError(words)


@engine.job(name="linger")
async def linger(ctx: JobContext) -> None:
    while not ctx.stopping:
        await asyncio.sleep(0.01)


@engine.job(name="stay")
async def stay() -> None:
    await asyncio.Event().wait()


class Person(msgspec.Struct):
    email: str
    age: Annotated[int, msgspec.Meta(ge=0)]


@engine.importer("people", row=Person, key="email", chunk_size=2)
async def people(ctx: JobContext, rows: list[Person]) -> None:
    pass


forgetful = Engine("memory://", registry=engine.registry, config=config)


def make() -> Engine:
    return engine


async def make_later() -> Engine:
    await asyncio.sleep(0)
    return engine


def broken() -> Engine:
    raise RuntimeError("no engine today")


number = 42
"""


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app's directory, which is the working directory; nothing of it stays imported."""
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in [name for name in os.environ if name.startswith("AIOJOBS_")]:
        monkeypatch.delenv(name)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if not name.startswith("aiojobs_engine") and Path(
            getattr(sys.modules[name], "__file__", None) or "/"
        ).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process."""

    def command(*words: str) -> Answer:
        capsys.readouterr()
        code = run(words)
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return command


Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spawn(home: Path) -> Iterator[Spawn]:
    """Start a command in a process of its own; those that are left over are killed."""
    with ExitStack() as stack:

        def process(*words: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "aiojobs_engine", *words]
            made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.enter_context(made)
            stack.callback(made.kill)
            return made

        yield process


def ended(process: subprocess.Popen[str], timeout: float = 30) -> Answer:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=timeout)
    return Answer(process.returncode, out, err)
