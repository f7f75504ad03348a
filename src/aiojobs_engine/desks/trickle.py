"""Replaying dead jobs at a chosen rate, which stops by itself when failures come back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.lifetime.session import Session

_TICK = 0.1
_LOOKED_AT = 1000


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a replay at a rate.

    Attributes:
        count: jobs that run again.
        failed: those of them that were dead again before the last one was started.
        left: jobs that fit and were not replayed.
        stopped: whether too many failures came back.
    """

    count: int
    failed: int
    left: int
    stopped: bool


async def trickle(session: Session, ids: Sequence[str], rate: float, stop_after: int) -> Replayed:
    """Replay `ids`, `rate` of them a second, until `stop_after` are dead again."""
    clock, store = session.clock, session.store
    began = clock.monotonic()
    count = failed = done = 0
    open_ids: list[str] = []
    while done < len(ids) and failed < stop_after:
        due = min(len(ids), 1 + int((clock.monotonic() - began) * rate))
        if due > done:
            answers = await store.retry(ids[done:due])
            open_ids += [job_id for job_id, again in zip(ids[done:due], answers, strict=True) if again]
            count += sum(answers)
            done = due
        if done < len(ids):
            await clock.sleep(max(_TICK, 1 / rate))
        failed += await _ended_badly(session, open_ids)
    return Replayed(count=count, failed=failed, left=len(ids) - done, stopped=failed >= stop_after)


async def _ended_badly(session: Session, open_ids: list[str]) -> int:
    """How many of the first jobs are dead again; those that have ended are taken out."""
    looked_at = open_ids[:_LOOKED_AT]
    jobs = await session.store.get(looked_at)
    ended = {job.id for job in jobs if job is not None and job.status in FINAL}
    failed = sum(job is not None and job.status is Status.FAILED for job in jobs)
    gone = {job_id for job_id, job in zip(looked_at, jobs, strict=True) if job is None}
    open_ids[:] = [job_id for job_id in open_ids if job_id not in ended and job_id not in gone]
    return failed
