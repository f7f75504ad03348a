"""The load: plain jobs, failing ones, long ones with checkpoints, imports; and one who looks all the time."""

import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import anyio

from aiojobs_engine import BackendUnavailable, Engine, EngineError, Job
from chaos.app import climb, grind, load, registry, work
from chaos.eyes import Eyes
from chaos.journal import DISPATCHES, READS, Journal

_MOST_QUEUED = 60
_EVERY = 0.03
_IMPORT_EVERY = 3.0
_LOOK = 0.05
_SEEN = 5


class Producer:
    """Dispatches until it is told to stop, and writes down what was acknowledged.

    Attributes:
        is_stopping: set it, and it ends with what is under way.
    """

    def __init__(self, folder: Path, rng: Random, engine: Engine, eyes: Eyes) -> None:
        """Write into `folder`; `engine` is open."""
        self._journal = Journal(folder / DISPATCHES)
        self._reads = Journal(folder / READS)
        self._eyes = eyes
        self._rng = rng
        self._engine = engine
        self._imports: list[str] = []
        self.is_stopping = False

    async def dispatch(self) -> None:
        """Plain jobs, most of them one by one, as long as the queue is short."""
        while not self.is_stopping:
            await anyio.sleep(_EVERY)
            if self._eyes.queued() < _MOST_QUEUED:
                await self._store([self._job() for _ in range(self._rng.choice([1, 1, 1, 1, 5]))])

    async def import_rows(self) -> None:
        """An import each few seconds."""
        while not self.is_stopping:
            await self._import(self._rng.choice([120, 1_200, 2_000]))
            await anyio.sleep(_IMPORT_EVERY)

    async def read(self) -> None:
        """Look at the imports over and over, and write down what is seen."""
        while not self.is_stopping or self._eyes.unfinished():
            for job_id in self._imports[-_SEEN:]:
                try:
                    seen = await self._engine.jobs.get(job_id)
                except BackendUnavailable:
                    continue
                self._reads.write(
                    id=job_id,
                    status=seen.status,
                    processed=seen.processed,
                    total=seen.total,
                    succeeded=seen.succeeded,
                    failed=seen.failed,
                )
            await anyio.sleep(_LOOK)

    async def until_quiet(self, seconds: float) -> bool:
        """Whether every job has ended, at once or within `seconds`."""
        deadline = time.monotonic() + seconds
        while self._eyes.unfinished():
            if time.monotonic() > deadline:
                return False
            await anyio.sleep(_LOOK)
        return True

    def close(self) -> None:
        """Let go of the journals."""
        self._journal.close()
        self._reads.close()

    def _job(self) -> tuple[Job[Any], int, float]:
        """A random job, how often it is to fail, and how late it is to run."""
        rng = self._rng
        kind = rng.random()
        if kind < 0.1:
            return climb.job(steps=rng.randrange(5, 25)), 0, 0.0
        if kind < 0.2:
            return grind.job(seconds=rng.uniform(0.01, 0.3)), 0, 0.0
        failures = rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 2, 9])
        delay = rng.choice([0.0, 0.0, 0.0, 0.5])
        chosen = work.options(delay=delay) if delay else work
        return chosen.job(seconds=rng.uniform(0.005, 0.3), failures=failures), failures, delay

    async def _store(self, jobs: Sequence[tuple[Job[Any], int, float]]) -> None:
        for job, failures, delay in jobs:
            self._journal.write(
                what="asked",
                id=job.id,
                type=job.type,
                failures=failures,
                not_before=time.monotonic() + delay,
            )
        try:
            if len(jobs) == 1:
                await self._engine.dispatch(jobs[0][0])
            else:
                await self._engine.dispatch_many(job for job, *_ in jobs)
        except EngineError as error:
            self._journal.write(what="unknown", ids=[job.id for job, *_ in jobs], error=str(error))
            return
        for job, *_ in jobs:
            self._journal.write(what="stored", id=job.id)

    async def _import(self, count: int) -> None:
        rows = [{"key": f"k{number}", "value": str(number)} for number in range(count)]
        bad = sorted(self._rng.sample(range(count), count // 50))
        for number in bad:
            rows[number]["value"] = "none"
        job_id = registry.ids()
        self._journal.write(
            what="asked", id=job_id, type="load", rows=count, bad=[number + 1 for number in bad]
        )
        try:
            await self._engine.dispatch(load.options(id=job_id), rows)
        except EngineError as error:
            self._journal.write(what="unknown", ids=[job_id], error=str(error))
            return
        self._journal.write(what="stored", id=job_id)
        self._imports.append(job_id)
