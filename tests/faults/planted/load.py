"""The jobs of a simulated process, and who dispatches them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import msgspec
from chaos.journal import MOST_ATTEMPTS

from aiojobs_engine import BackendUnavailable, Engine, Job, JobContext, JobRegistry, Retry
from aiojobs_engine.testing.clock import ManualClock
from tests.faults.planted.process import Process

CRON = "ticker"
CHUNK = 5
_EVERY = 0.5
_LONG_JOBS = 5
_LONG_SECONDS = 16.0
_PATIENCE = 8


class Row(msgspec.Struct):
    key: str
    value: int


class Diary:
    """What handlers and dispatchers write down."""

    def __init__(self, clock: ManualClock) -> None:
        self.began: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.returned: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.asked: dict[str, dict[str, Any]] = {}
        self.stored: set[str] = set()
        self.reads: list[dict[str, Any]] = []
        self._clock = clock

    def begin(self, process: Process, ctx: JobContext) -> None:
        if process.runs:
            self.began[ctx.id].append(self._entry(process, ctx))

    def end(self, process: Process, ctx: JobContext) -> str:
        entry = self._entry(process, ctx)
        if process.runs:
            self.returned[ctx.id].append(entry)
        return str(entry["result"])

    def _entry(self, process: Process, ctx: JobContext) -> dict[str, Any]:
        result = f"{ctx.id}:{ctx.token}"
        at = self._clock.monotonic()
        return {"id": ctx.id, "token": ctx.token, "pid": process.pid, "at": at, "result": result}


def declare(process: Process, diary: Diary) -> JobRegistry:
    """The job types, as this process runs them."""
    registry = JobRegistry(process.clock)

    @registry.job(name="work", retry=Retry.fixed(max_attempts=MOST_ATTEMPTS, delay=0.02))
    async def work(ctx: JobContext, seconds: float, failures: int) -> str:
        diary.begin(process, ctx)
        await process.clock.sleep(seconds)
        if ctx.attempt - ctx.crashes <= failures:
            raise RuntimeError("as planned")
        return diary.end(process, ctx)

    @registry.job(name="tick")
    async def tick(ctx: JobContext) -> str:
        diary.begin(process, ctx)
        return diary.end(process, ctx)

    @registry.importer("load", row=Row, key="key", chunk_size=CHUNK)
    async def load(ctx: JobContext, rows: list[Row]) -> None:
        diary.begin(process, ctx)
        await process.clock.sleep(0.3)
        diary.end(process, ctx)

    return registry


class Producer:
    """Dispatches, and repeats what may have got lost, until it is told to stop."""

    def __init__(self, engine: Engine, rng: Random, diary: Diary, clock: ManualClock) -> None:
        self._engine = engine
        self._types = engine.registry.types
        self._rng = rng
        self._diary = diary
        self._clock = clock
        self._imports: list[str] = []
        self.is_stopping = False

    async def work(self) -> None:
        for _ in range(_LONG_JOBS):
            await self._plain(_LONG_SECONDS, 0, 0.0)
        while not self.is_stopping:
            rng = self._rng
            seconds = rng.choice([0.01, 0.3, 1.0, 3.0])
            await self._plain(seconds, rng.choice([0, 0, 0, 1, 2, 9]), rng.choice([0.0, 0.0, 0.7]))
            await self._clock.sleep(_EVERY * rng.uniform(0.5, 1.5))

    async def imports(self) -> None:
        while not self.is_stopping:
            await self._import(self._rng.choice([12, 40]))
            await self._clock.sleep(5.0)

    async def read(self) -> None:
        while not self.is_stopping:
            for job_id in self._imports[-3:]:
                seen = await self._surely(lambda job_id=job_id: self._engine.jobs.get(job_id))
                counts = (seen.processed, seen.total, seen.succeeded, seen.failed)
                names = ("processed", "total", "succeeded", "failed")
                self._diary.reads.append({"id": job_id, **dict(zip(names, counts, strict=True))})
            await self._clock.sleep(0.4)

    async def _plain(self, seconds: float, failures: int, delay: float) -> None:
        work: Any = self._types["work"]
        job: Job[Any] = (work.options(delay=delay) if delay else work).job(seconds=seconds, failures=failures)
        not_before = self._clock.monotonic() + delay
        self._diary.asked[job.id] = {
            "id": job.id,
            "type": "work",
            "failures": failures,
            "not_before": not_before,
        }
        await self._surely(lambda: self._engine.dispatch(job))
        self._diary.stored.add(job.id)

    async def _import(self, count: int) -> None:
        rows = [{"key": f"k{number}", "value": str(number)} for number in range(count)]
        bad = sorted(self._rng.sample(range(count), count // 12))
        for number in bad:
            rows[number]["value"] = "none"
        job_id = self._engine.registry.ids()
        numbers = [number + 1 for number in bad]
        self._diary.asked[job_id] = {"id": job_id, "type": "load", "rows": count, "bad": numbers}
        load: Any = self._types["load"]
        await self._surely(lambda: self._engine.dispatch(load.options(id=job_id), rows))
        self._diary.stored.add(job_id)
        self._imports.append(job_id)

    async def _surely(self, call: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(_PATIENCE):
            try:
                return await call()
            except BackendUnavailable:
                await self._clock.sleep(0.05)
        return await call()
