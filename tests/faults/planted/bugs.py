"""Twelve bugs of job engines, each planted into the memory store or into the client library of a process.

A store's bug is a memory store that does one thing wrong; a client's bug is a wrapper around what a process
reaches the store with. Nothing of this is in the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import BackendUnavailable
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim, Enqueued, Lease, LeaseStatus, Record, Settlement, Watch
from aiojobs_engine.ports.clock import Clock, Timer
from aiojobs_engine.ports.cron import Fire, Fired, FireOutcome
from tests.faults.planted.gate import Client, Gate

if TYPE_CHECKING:
    _Verbs = MemoryBackend
else:
    _Verbs = object

_FOR_EVER = 1e6
_PAGE = 4
_LOCK_SECONDS = 1.0


class NoTokenCompare(MemoryBackend):
    """Whoever settles a job that runs ends it, whatever token he has."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        return await super().settle([self._adopted(each) for each in settlements])

    def _adopted(self, settlement: Settlement) -> Settlement:
        job = self._ledger.jobs.get(settlement.lease.job_id)
        if job is None:
            return settlement
        lease = msgspec.structs.replace(settlement.lease, token=job.token)
        return msgspec.structs.replace(settlement, lease=lease)


class CountsOnLease(MemoryBackend):
    """An attempt is counted when a job is claimed, and again when it ends."""

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        claims = await super().claim(watch, limit, lease, ahead)
        for claim in claims:
            self._ledger.jobs[claim.lease.job_id].attempts += 1
        return [msgspec.structs.replace(claim, attempts=claim.attempts + 1) for claim in claims]


class _Skewed(Clock):
    """A clock whose boot time is off by some ms."""

    def __init__(self, clock: Clock, ms: int) -> None:
        self._clock = clock
        self._ms = ms

    def now(self) -> Instant:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def boot(self) -> tuple[str, int]:
        boot_id, ms = self._clock.boot()
        return boot_id, ms + self._ms

    def call_later(self, seconds: float, callback: Any) -> Timer:
        return self._clock.call_later(seconds, callback)


class ExpiresByCaller(MemoryBackend):
    """What has run out is told by the wall clock of the worker that asks."""

    async def rescue(self, worker: str, limit: int, lease: float, skew: int = 0) -> list[Claim]:
        true = self._ledger.clock
        self._ledger.clock = _Skewed(true, skew)
        try:
            return await super().rescue(worker, limit, lease)
        finally:
            self._ledger.clock = true


class FirstPageOnly(MemoryBackend):
    """The reaper looks at the first page of all leases, and never turns it."""

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        leases = self._ledger.leases
        others = sorted(leases.jobs(), key=lambda job: job.place)[_PAGE:]
        for job in others:
            leases.take(job)
        try:
            return await super().rescue(worker, limit, lease)
        finally:
            for job in others:
                leases.put(job, job.lease_until)


class RenewsAnyone(MemoryBackend):
    """A renewal names the job, and nobody asks for its token."""

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        jobs = self._ledger.jobs
        known = [
            msgspec.structs.replace(held, token=jobs[held.job_id].token) if held.job_id in jobs else held
            for held in leases
        ]
        return await super().extend(known, lease)


class TellsBeforeCommit(MemoryBackend):
    """The event of an end is out before the store has looked whether the lease holds."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        answers = await super().settle(settlements)
        for settlement, is_accepted in zip(settlements, answers, strict=True):
            if not is_accepted:
                self._ledger.log.append(settlement.event)
        return answers


class CountsChunksAgain(MemoryBackend):
    """A planner that starts again adds all its chunks to the total, also those that are there."""

    async def record(self, records: Sequence[Record]) -> list[bool]:
        known = [
            sum(child.total for child in record.children if child.id in self._ledger.jobs)
            for record in records
        ]
        answers = await super().record(records)
        for record, rows, is_accepted in zip(records, known, answers, strict=True):
            job = self._ledger.jobs.get(record.lease.job_id)
            if rows and is_accepted and job is not None:
                sums = job.counters
                job.counters = Counters(sums.succeeded, sums.failed, sums.skipped, sums.total + rows)
        return answers


class _Library(_Verbs):
    """A client library that does as it should; those with a bug do one thing otherwise."""

    def __init__(self, gate: Gate) -> None:
        self.gate: Any = gate

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return getattr(self.gate, name)


class ComparesInClient(_Library):
    """Reads the token, compares it, and then writes without one."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        tokens = await self.gate.tokens([each.lease.job_id for each in settlements])
        kept = [each.lease.token == token for each, token in zip(settlements, tokens, strict=True)]
        fitting = [each for each, is_kept in zip(settlements, kept, strict=True) if is_kept]
        answers = iter(await self.gate.settle(fitting))
        return [next(answers) if is_kept else False for is_kept in kept]


class TokensToRead(NoTokenCompare):
    """What a client needs that compares tokens itself."""

    async def tokens(self, ids: Sequence[str]) -> list[int]:
        return [self._ledger.jobs[job_id].token for job_id in ids]


class RequeuesFirst(_Library):
    """Puts a job back into its queue in one call, and takes it from those that run in the next."""

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        again = [each.lease for each in settlements if each.status not in FINAL]
        if again:
            await self.gate.requeue(again)
        answers: list[bool] = await self.gate.settle(settlements)
        return answers


class Requeues(MemoryBackend):
    """What a client needs that does so."""

    async def requeue(self, leases: Sequence[Lease]) -> None:
        ledger = self._ledger
        for lease in leases:
            job = ledger.jobs[lease.job_id]
            if job.token == lease.token and job.status is Status.PROCESSING:
                ledger.move(job, Status.PENDING, ledger.clock.now())
                ledger.leases.put(job, job.lease_until)


class AcksFirst(_Library):
    """A job is off the broker once it was claimed: nobody will ever take it over."""

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        claims: list[Claim] = await self.gate.claim(watch, limit, _FOR_EVER, ahead)
        return claims

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        answers: list[LeaseStatus] = await self.gate.extend(leases, _FOR_EVER)
        return answers


class EnqueuesAnew(_Library):
    """A dispatch without an answer is sent again as another job."""

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        try:
            first: list[Enqueued] = await self.gate.enqueue(envelopes)
        except BackendUnavailable:
            again = [msgspec.structs.replace(each, id=f"{each.id}-again") for each in envelopes]
            await self.gate.enqueue(again)
            return [Enqueued(each.id, created=True) for each in envelopes]
        return first


class AsksItsOwnClock(_Library):
    """Says what time it is when it looks for lost leases."""

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        claims: list[Claim] = await self.gate.rescue(worker, limit, lease, skew=self.gate.process.skew)
        return claims


class FiresByLock(_Library):
    """Takes a lock for a second, and whoever has it fires."""

    _numbers = count()

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        return [await self._fire(fire) for fire in fires]

    async def _fire(self, fire: Fire) -> Fired:
        number = next(self._numbers)
        place = await self.gate.hold_place(f"cron-{fire.name}", str(number), _LOCK_SECONDS)
        if not place.held or fire.job is None:
            return Fired(FireOutcome.SETTLED, fire.at)
        await self.gate.enqueue([msgspec.structs.replace(fire.job, id=f"{fire.job.id}-{number}")])
        return Fired(FireOutcome.FIRED, fire.at)


LAWFUL: Client = _Library


@dataclass(frozen=True, slots=True)
class Bug:
    """A bug, the laws of which one has to show it, and where it is."""

    name: str
    laws: frozenset[str]
    store: type[MemoryBackend] = MemoryBackend
    client: Client = LAWFUL


def _bug(name: str, *laws: str, **where: Any) -> Bug:
    return Bug(name, frozenset(laws), **where)


BUGS = (
    _bug("no token compare", "tokens", store=NoTokenCompare),
    _bug("token compared in the client alone", "tokens", store=TokensToRead, client=ComparesInClient),
    _bug("attempts counted on lease and on end", "attempts", store=CountsOnLease),
    _bug("requeue before removal", "leases", store=Requeues, client=RequeuesFirst),
    _bug("ack before the handler", "lost", client=AcksFirst),
    _bug("enqueue retried under a new id", "invented", client=EnqueuesAnew),
    _bug("expiry by the worker's wall clock", "leases", store=ExpiresByCaller, client=AsksItsOwnClock),
    _bug("reaper without a paging cursor", "leases", store=FirstPageOnly),
    _bug("cron by a lock alone", "cron", client=FiresByLock),
    _bug("renewal that ignores the token", "tokens", store=RenewsAnyone),
    _bug("event before the commit", "doubled", store=TellsBeforeCommit),
    _bug("total of chunks counted on a retry", "counters", store=CountsChunksAgain),
)
