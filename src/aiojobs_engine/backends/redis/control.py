"""The Redis store: what people and programs do to jobs, queues, workers and types."""

from collections.abc import Sequence
from typing import Any

from aiojobs_engine.backends.redis.keys import CODES, STATUSES
from aiojobs_engine.backends.redis.new_jobs import encoded_job
from aiojobs_engine.backends.redis.part import Part
from aiojobs_engine.backends.redis.rows import encode
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.ports.backend import Cancelled, Keep, TypeRecord, WorkerRecord

_FOREVER_MS = 2**52


class RedisControl(Part):
    """`Control` of the Redis store; what each verb means stands in the port."""

    async def cancel(self, ids: Sequence[str]) -> list[Cancelled]:
        """Cancel queued jobs at once; flag running ones."""
        answers: list[int] = await self._home.write("cancel", ids) if ids else []
        return [
            Cancelled(None if before < 0 else STATUSES[before], bool(done))
            for before, done in zip(answers[::2], answers[1::2], strict=True)
        ]

    async def pause(self, ids: Sequence[str]) -> list[bool]:
        """Park queued jobs, flag running ones."""
        return await self._each("pause", ids)

    async def resume(self, ids: Sequence[str]) -> list[bool]:
        """Make paused jobs pending again."""
        return await self._each("resume", ids)

    async def retry(self, ids: Sequence[str]) -> list[bool]:
        """Start final jobs anew, in a new epoch."""
        return await self._each("retry", ids)

    async def reopen(self, parent_id: str, children: Sequence[Envelope]) -> bool:
        """Give an ended bulk job chunks for its unresolved rows."""
        if not children:
            return False
        bodies: list[bytes] = []
        jobs = [encoded_job(child, self._home.lanes, bodies) for child in children]
        return bool(await self._home.write("reopen", (parent_id, jobs), bodies))

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Remove jobs that nobody runs."""
        return await self._each("delete", ids)

    async def prune(self, keeps: Sequence[Keep], limit: int) -> list[str]:
        """Remove old final jobs, and results past their time."""
        removed = await self._home.write("prune", ([_encoded_keep(keep) for keep in keeps], max(0, limit)))
        return [job_id.decode() for job_id in removed]

    async def pause_queue(self, name: str) -> None:
        """Let no more jobs of the queue be claimed."""
        await self._home.run("pause_queue", name)

    async def resume_queue(self, name: str) -> None:
        """Let them be claimed again."""
        await self._home.run("resume_queue", name)

    async def beat(self, worker: WorkerRecord) -> None:
        """Announce a worker, and forget those that have been silent for a minute."""
        await self._home.run("beat", (worker.id, encode(worker).decode()))

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        await self._home.run("leave", worker_id)

    async def publish(self, types: Sequence[TypeRecord]) -> None:
        """Make job types known to dispatchers."""
        words = [word for record in types for word in (record.name, encode(record).decode())]
        if words:
            await self._home.run("publish", words)

    async def _each(self, verb: str, ids: Sequence[str]) -> list[bool]:
        answers: list[Any] = await self._home.write(verb, ids) if ids else []
        return [answer == 1 for answer in answers]


def _encoded_keep(keep: Keep) -> tuple[list[int], float, int]:
    codes = [CODES[status] for status in dict.fromkeys(keep.statuses) if status in FINAL]
    return codes, min(keep.age * 1000, _FOREVER_MS), keep.keep
