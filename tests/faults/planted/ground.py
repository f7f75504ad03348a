"""What a simulation stands on: a store, its time, and a look at what it holds, past the engine."""

from collections.abc import Mapping
from typing import Any, Protocol

from chaos.history import OWN, Event, StoredJob

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.state import Status
from aiojobs_engine.testing.clock import ManualClock

_EVERYTHING = 1_000_000


class Ground(Protocol):
    """A store under a clock that moves by hand."""

    clock: ManualClock
    store: Any

    async def jobs(self) -> tuple[dict[str, StoredJob], str]:
        """All jobs by id, and what doesn't fit together in the store; `ok` when all does."""
        ...


class MemoryGround:
    """The memory store."""

    def __init__(self, kind: type[MemoryBackend] = MemoryBackend) -> None:
        self.clock = ManualClock()
        self.store = kind(clock=self.clock, max_events=_EVERYTHING)

    async def jobs(self) -> tuple[dict[str, StoredJob], str]:
        ledger = self.store._ledger
        leased = {job.id for job in ledger.leases.jobs()}
        found = {
            job.id: StoredJob(
                id=job.id,
                type=job.envelope.type,
                status=str(job.status),
                token=job.token,
                attempts=job.attempts,
                crashes=job.crashes,
                epoch=job.epoch,
                succeeded=job.counters.succeeded,
                failed=job.counters.failed,
                total=job.counters.total,
                chunks=len(job.family.chunks) if job.family else 0,
                parent=job.parent.id if job.parent else None,
                result=None if job.result is None else job.result.decode(),
                reason=(job.error.reason or None) if job.error else None,
                is_leased=job.id in leased,
                failures=tuple(sorted(job.family.failures)) if job.family else (),
            )
            for job in ledger.jobs.values()
        }
        bare = [job.id for job in ledger.jobs.values() if job.status is Status.PROCESSING]
        wrong = [f"{job_id} runs without a lease" for job_id in bare if job_id not in leased]
        return found, "; ".join(sorted(wrong)[:5]) or "ok"


async def told(store: Any, names: Mapping[object, str]) -> dict[str, list[Event]]:
    """The stored events by job, in order, with other `names` for workers."""
    events: dict[str, list[Event]] = {}
    for each in (await store.read(None, _EVERYTHING))[0]:
        name = type(each).__name__
        fields = each.__struct_fields__[-OWN[name] :] if name in OWN else ()
        own = (getattr(each, field) for field in fields)
        event = Event(
            name=name,
            job_id=each.job_id,
            processed=each.processed,
            total=each.total,
            succeeded=each.succeeded,
            failed=each.failed,
            own=tuple(names.get(value, value) for value in own),
        )
        events.setdefault(each.job_id, []).append(event)
    return events
