"""A batch on SQLite whose workers are killed again and again: each callback starts once, and nothing hangs.

`python benchmarks/batches.py --members 10000 --kills 30` takes about a minute. One member in a hundred fails:
the callbacks of the first failure and of the end run, and that of success is cancelled. It ends with 1 when a
callback started twice or never, or when the batch counts wrongly.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from threading import Event
from time import monotonic
from typing import Any, Self

import anyio

from aiojobs_engine import Engine, JobRegistry, JobStarted, Retry

registry = JobRegistry()
_FAILING = 100
_MOMENT = 0.05
_PATIENCE = 120.0


@registry.job(name="member", retry=Retry.none(), max_crashes=100)
async def member(number: int) -> None:
    """Take a moment, so that kills meet it, and fail now and then."""
    await anyio.sleep(_MOMENT)
    if number % _FAILING == 0:
        raise ValueError("one in a hundred")


@registry.job(name="callback", max_crashes=100)
async def callback(word: str) -> str:
    """Be one of the three."""
    return word


def _engine(folder: Path) -> Engine:
    config = {
        "worker": {"lease": 2.0, "rescue_interval": 0.5, "concurrency": 25},
        "listeners": {"log": False},
    }
    return Engine(f"sqlite:///{folder / 'jobs.db'}", registry=registry, config=config)


async def work(folder: Path) -> None:
    """Be a worker until killed."""
    async with _engine(folder) as engine:
        await engine.worker().run()


async def attack(folder: Path, *, members: int, kills: int, workers: int, seed: int) -> dict[str, Any]:
    """Dispatch the batch, kill its workers, and tell what became of it."""
    async with _engine(folder) as engine:
        calls = {word: callback.job(word) for word in ("then", "catch", "finally")}
        batch = engine.batch(member.job(number) for number in range(members))
        batch.then(calls["then"]).catch(calls["catch"]).finally_(calls["finally"])
        began = monotonic()
        handle = await engine.dispatch(batch)
        dispatched = monotonic() - began
        await anyio.to_thread.run_sync(lambda: _kill(folder, kills, workers, Random(seed)))
        began = monotonic()
        with _Workers(folder, workers), anyio.move_on_after(_PATIENCE):
            await engine.handle(calls["finally"].id).result()
            await engine.handle(calls["catch"].id).result()
        drained = monotonic() - began
        status = await handle.status()
        words = {job.id: word for word, job in calls.items()}
        starts: Counter[str] = Counter()
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(1):
                async for event in engine.events(after=await engine.store.since(0)):  # type: ignore[arg-type]
                    if event.job_id in words and isinstance(event, JobStarted):
                        starts[words[event.job_id]] += 1
            group.cancel_scope.cancel()
        ends = {word: str((await engine.handle(job.id).status()).status) for word, job in calls.items()}
    bad = -(-members // _FAILING)
    good = (status.status, status.succeeded, status.failed) == ("partial", members - bad, bad)
    is_right = good and ends == {"then": "cancelled", "catch": "completed", "finally": "completed"}
    return {
        "members": members,
        "kills": kills,
        "dispatch_seconds": round(dispatched, 3),
        "seconds_after_the_last_kill": round(drained, 1),
        "batch": [str(status.status), status.succeeded, status.failed],
        "callbacks": ends,
        "starts_of_callbacks": dict(starts),
        "is_right": is_right,
    }


class _Workers:
    def __init__(self, folder: Path, count: int) -> None:
        self._command = [sys.executable, __file__, "--work", str(folder)]
        self._count = count
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._processes = [subprocess.Popen(self._command) for _ in range(self._count)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def kill_one(self, chance: Random) -> None:
        place = chance.randrange(self._count)
        self._processes[place].kill()
        self._processes[place].wait()
        self._processes[place] = subprocess.Popen(self._command)


def _kill(folder: Path, kills: int, workers: int, chance: Random) -> None:
    never = Event()
    with _Workers(folder, workers) as running:
        for _ in range(kills):
            never.wait(chance.uniform(0.3, 1.2))
            running.kill_one(chance)


def main() -> int:
    """Run it; 1 when something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work is not None:
        anyio.run(work, given.work)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        report = anyio.run(
            lambda: attack(
                Path(folder),
                members=given.members,
                kills=given.kills,
                workers=given.workers,
                seed=given.seed,
            )
        )
    sys.stdout.write(json.dumps(report) + "\n")
    return 0 if report["is_right"] else 1


if __name__ == "__main__":
    sys.exit(main())
