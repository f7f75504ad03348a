"""Import rows of CSV on SQLite while the worker is killed every few seconds, and check each row.

`python benchmarks/import_kills.py` takes about a minute: a million rows, a SIGKILL every 5 s, 1,000 reads of
the status meanwhile. It ends with 1 when a law was broken.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

import anyio
from harness.import_app import registry
from harness.people import write_people
from harness.process import Process

from aiojobs_engine import Engine, JobStatus
from aiojobs_engine.core.state import FINAL

_LATEST = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much is imported, and how often the worker is killed; seconds."""

    rows: int
    every: float
    reads: int
    pause: float
    slots: int
    lease: float


@dataclass(slots=True)
class Story:
    """What was seen while it happened."""

    kills: int = 0
    reads: int = 0
    wrong_reads: list[JobStatus] = field(default_factory=list)
    last: JobStatus | None = None


async def carry_out(folder: Path, options: Options) -> list[str]:
    """Import, kill and read; the laws that were broken."""
    bad = set(range(777, options.rows, 25_000))
    people = folder / "people.csv"
    write_people(people, options.rows, bad)
    config = {"storage": {"path": str(folder / "files")}}
    story = Story()
    begun = time.monotonic()
    async with Engine(f"sqlite:///{folder / 'jobs.db'}", registry=registry, config=config) as engine:
        job_id = (await engine.dispatch("people", source=people)).id
        async with anyio.create_task_group() as group:
            group.start_soon(_kill, folder, options, story)
            await _read(engine, job_id, options, story)
            group.cancel_scope.cancel()
        seconds = time.monotonic() - begun
        broken = await _judge(engine, job_id, folder, bad, options, story)
    print(f"{options.rows:,} rows, {story.kills} kills, {story.reads:,} reads, {seconds:.0f} s")
    return broken


async def _kill(folder: Path, options: Options, story: Story) -> None:
    while True:
        with _worker(folder, options):
            await anyio.sleep(options.every)
        story.kills += 1


@contextmanager
def _worker(folder: Path, options: Options) -> Iterator[None]:
    environment = {
        "AIOJOBS_URL": f"sqlite:///{folder / 'jobs.db'}",
        "AIOJOBS_STORAGE__PATH": str(folder / "files"),
        "AIOJOBS_WORKER__LEASE": str(options.lease),
        "AIOJOBS_WORKER__RESCUE_INTERVAL": "0.2",
        "BENCHMARK_SEEN": str(folder / "seen"),
        "BENCHMARK_PAUSE": str(options.pause),
    }
    app = "harness.import_app:engine"
    command = [sys.executable, "-m", "aiojobs_engine", "worker", app, "-c", str(options.slots)]
    process = Process(command, environment, folder / "worker.log")
    try:
        yield
    finally:
        os.kill(process.pid, SIGKILL)
        process.popen.wait()


async def _read(engine: Engine, job_id: str, options: Options, story: Story) -> None:
    """Read the status until the end, and so often in any case."""
    begun = time.monotonic()
    pause = max(0.001, options.pause * options.rows / 1000 / options.slots / options.reads)
    while True:
        status = await engine.jobs.get(job_id)
        story.reads += 1
        before = story.last.processed if story.last is not None else 0
        if not before <= status.processed == status.succeeded + status.failed <= status.total:
            story.wrong_reads.append(status)
        story.last = status
        if status.status in FINAL and story.reads >= options.reads:
            return
        if time.monotonic() - begun > _LATEST:
            raise TimeoutError(f"{status.processed:,} of {status.total:,} rows after {_LATEST:g} s")
        await anyio.sleep(pause)


async def _judge(
    engine: Engine, job_id: str, folder: Path, bad: set[int], options: Options, story: Story
) -> list[str]:
    status = await engine.jobs.get(job_id)
    failed = [failure.row_number - 1 async for failure in engine.failures.list(job_id)]
    calls, seen = _calls(folder / "seen")
    again = sum(times - 1 for times in calls.values())  # in the slots, and with their outcomes on the way
    good = options.rows - len(bad)
    laws = {
        "processed is succeeded and failed together, and never falls, at each read": not story.wrong_reads,
        "each row is counted once": (status.processed, status.total) == (options.rows, options.rows),
        "the good rows are in": (status.succeeded, status.failed) == (good, len(bad)),
        "exactly the planted rows failed": failed == sorted(bad),
        "each good row was seen, and no bad one": set(seen) == set(range(options.rows)) - bad,
        "a kill repeats no more runs than are under way": again <= story.kills * 2 * options.slots,
        "a row was seen as often as its chunk ran": max(seen.values()) <= max(calls.values()),
    }
    for law, holds in laws.items():
        print(f"{'holds ' if holds else 'BROKEN'}  {law}")

    print(f"{len(calls):,} chunks, {again} runs were repeated")
    return [law for law, holds in laws.items() if not holds]


def _calls(path: Path) -> tuple[Counter[str], Counter[int]]:
    """How often each chunk and each row came to the handler."""
    calls: Counter[str] = Counter()
    rows: defaultdict[int, int] = defaultdict(int)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            chunk, *numbers = line.split()
            calls[chunk] += 1
            for number in numbers:
                rows[int(number)] += 1
    return calls, Counter(rows)


def main() -> int:
    """Do it as the command line says; 1 when a law was broken."""
    parser = argparse.ArgumentParser(description="Kill the worker of an import, and check each row.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two kills")
    parser.add_argument("--reads", type=int, default=1000, help="reads of the status, at least")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds that the handler takes for a chunk")
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--lease", type=float, default=1.0)
    options = Options(**vars(parser.parse_args()))
    folder = Path(tempfile.mkdtemp(prefix="aiojobs-import-kills-"))
    try:
        return 1 if anyio.run(carry_out, folder, options) else 0
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
