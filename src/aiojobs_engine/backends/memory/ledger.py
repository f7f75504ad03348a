"""The whole state of a memory store. Every job stands on the shelves that its status asks for."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from aiojobs_engine.backends.memory.flow import Flow, Line, LineKey, line_of
from aiojobs_engine.backends.memory.log import EventLog
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.backends.memory.shelf import Shelf
from aiojobs_engine.core.envelope import VERSION, Envelope, decode_envelope
from aiojobs_engine.core.errors import BackendClosed, BackendFull
from aiojobs_engine.core.events import JobCreated, JobEvent, event_of
from aiojobs_engine.core.gates import Gate
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, QUEUED, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Watch, WorkerRecord
from aiojobs_engine.ports.clock import Clock, Wake
from aiojobs_engine.ports.stream import Place

_ALL_RUN_OUT = -1


class _Held(NamedTuple):
    """Who follows from a named place in the stream, until which ms of which boot."""

    holder: str
    boot: str
    until: int
    cursor: str | None


class Ledger:
    """Jobs, the shelves that order them, queues, workers, types and the event log.

    Attributes:
        looked_at: jobs that ended, or batches with a first failure, for which others may wait.
    """

    def __init__(self, clock: Clock, max_jobs: int | None, max_events: int) -> None:
        """Start empty and closed."""
        self.clock = clock
        self.is_open = False
        self.jobs: dict[str, StoredJob] = {}
        self.log = EventLog(clock, max_events)
        self.due, self.expiring, self.leases, self.results = Shelf(), Shelf(), Shelf(), Shelf()
        self.ended = {status: Shelf() for status in FINAL}
        self.uniques: defaultdict[tuple[str, str], dict[str, StoredJob]] = defaultdict(dict)
        self.flow = Flow()
        self.tally: Counter[tuple[str, Status]] = Counter()
        self.queues: set[str] = set()
        self.paused: set[str] = set()
        self.looked_at: list[StoredJob] = []
        self.waiters: dict[Wake, Watch] = {}
        self.workers: dict[str, WorkerRecord] = {}
        self.types: dict[str, bytes] = {}
        self._lanes: defaultdict[str, dict[str, Shelf]] = defaultdict(dict)
        self._max_jobs = max_jobs
        self._places = 0
        self._places_held: dict[str, _Held] = {}
        self._boot_id = clock.boot()[0]

    def boot_now(self) -> int:
        """Ms since boot. After a reboot every lease of the old boot has run out."""
        boot_id, now = self.clock.boot()
        if boot_id != self._boot_id:
            self._boot_id = boot_id
            for job in self.leases.jobs():
                job.lease_until = _ALL_RUN_OUT
                self.leases.put(job, _ALL_RUN_OUT)
        return now

    def hold_place(self, name: str, holder: str, lease: float, cursor: str | None) -> Place:
        """Give a place in the stream to `holder`, unless somebody else's lease lasts."""
        boot_id, now = self.clock.boot()
        held = self._places_held.get(name)
        if held is not None and held.holder != holder and held.boot == boot_id and held.until > now:
            return Place(held=False, cursor=held.cursor)
        kept = held.cursor if held is not None and cursor is None else cursor
        self._places_held[name] = _Held(holder, boot_id, now + max(0, round(lease * 1000)), kept)
        return Place(held=True, cursor=kept)

    def check_room(self, ids: Iterable[str]) -> None:
        """See that the new ones of `ids` find room.

        Raises:
            BackendFull: they don't.
        """
        if self._max_jobs is None:
            return
        new = set(ids) - self.jobs.keys()
        if new and len(self.jobs) + len(new) > self._max_jobs:
            raise BackendFull(f"the memory store holds {len(self.jobs)} of at most {self._max_jobs} jobs")

    def add(
        self,
        body: bytes,
        now: Instant,
        *,
        parent: StoredJob | None = None,
        reopened: bool = False,
        waits: bool = False,
    ) -> StoredJob:
        """Store a new job with its `JobCreated`, as `waiting` when it `waits` for others."""
        envelope: Envelope = decode_envelope(body)
        self._places += 1
        is_due = envelope.scheduled_at is None or envelope.scheduled_at <= now
        job = StoredJob(
            place=self._places,
            body=body,
            envelope=envelope,
            status=Status.WAITING if waits else Status.PENDING if is_due else Status.SCHEDULED,
            counters=Counters(total=envelope.total),
            scheduled_at=envelope.scheduled_at,
            expires_at=envelope.expires_at,
            parent=parent,
            reopened=reopened,
        )
        self.jobs[envelope.id] = job
        self.queues.add(envelope.queue)
        if parent is not None:
            family = parent.own_family()
            family.chunks[envelope.id] = job
            family.open += 1
        if envelope.unique is not None:
            self.uniques[envelope.queue, envelope.unique.key][envelope.id] = job
        self._shelve(job, now)
        self.tell(JobCreated, job, now)
        return job

    def remove(self, job: StoredJob) -> None:
        """Forget a job and its chunks."""
        for chunk in job.family.chunks.values() if job.family else ():
            self.remove(chunk)
        job.open_needs = 0
        self.withdraw(job)
        self._look(line_of(job), self.clock.now())
        self.results.take(job)
        del self.jobs[job.id]
        if (rule := job.envelope.unique) is not None:
            del self.uniques[job.envelope.queue, rule.key][job.id]
            if not self.uniques[job.envelope.queue, rule.key]:
                del self.uniques[job.envelope.queue, rule.key]

    def move(self, job: StoredJob, status: Status, now: Instant) -> None:
        """Let a job go to `status`, and all that orders it with it."""
        self.withdraw(job)
        self.put_back(job, status, now)

    def put_back(self, job: StoredJob, status: Status, now: Instant) -> None:
        """Let a job that was withdrawn stand at `status`."""
        job.status = status
        job.finished_at = now if status in FINAL else None
        if status is not Status.PROCESSING:
            job.worker = None
        self._shelve(job, now)

    def tell(self, kind: type[JobEvent], job: StoredJob, now: Instant, *own: object) -> None:
        """Store an event of `kind` about the job as it stands; `own` are the kind's own fields."""
        self.log.append(event_of(kind, job.envelope, job.status, job.counters, job.attempt, now, *own))

    def ahead_of(self, job: StoredJob) -> int:
        """How many pending jobs of its queue and type come before a pending one."""
        if job.envelope.v > VERSION:
            return 0
        queue, name = job.envelope.queue, job.envelope.type
        lane = self._lanes[queue].get(name)
        parked = [
            line.parked for key, line in self.flow.lines.items() if (key.queue, key.type) == (queue, name)
        ]
        return sum(shelf.before(job) for shelf in ([lane] if lane else []) + parked)

    def gate(self, now: Instant) -> Gate | None:
        """What a claim may take now; None when nothing limits it. Keys whose time has come are looked at."""
        for key in self.flow.due(now):
            self._look(key, now)
        return self.flow.gate(self.leases.jobs(), now) if self.flow.limits else None

    def pending(self, watch: Watch, gate: Gate | None, now: Instant) -> Iterator[StoredJob]:
        """The watched jobs in claim order; each must have been moved on before the next is asked for.

        Those that are past their time come too; the others are counted by the gate.
        """
        heads = [(*first, lane) for lane in self._watched(watch) if (first := lane.first()) is not None]
        heapify(heads)
        while heads:
            _, _, job, lane = heads[0]
            if gate is not None and not job.is_expired(now):
                envelope = job.envelope
                if not gate.take(envelope.queue, envelope.type, envelope.cost):
                    heappop(heads)
                    continue
            yield job
            if (first := lane.first()) is None:
                heappop(heads)
            else:
                heapreplace(heads, (*first, lane))

    def wake(self, queue: str) -> None:
        """Ring for all that watch the queue."""
        for bell, watch in self.waiters.items():
            if queue in watch.queues:
                bell.set()

    def look(self, keys: Iterable[LineKey]) -> None:
        """Let those jobs of keys be claimed that their limits allow now."""
        now = self.clock.now()
        for key in keys:
            self._look(key, now)

    def _look(self, key: LineKey | None, now: Instant) -> None:
        if key is None:
            return
        moves = self.flow.look(key, now)
        for job in moves.hold:
            self._from_lane(job)
        for job in moves.let:
            self._to_lane(job)

    def _watched(self, watch: Watch) -> Iterator[Shelf]:
        for queue in dict.fromkeys(watch.queues):
            lanes = self._lanes.get(queue)
            if lanes and queue not in self.paused:
                yield from [lanes[name] for name in dict.fromkeys(watch.types) if name in lanes]

    def _shelve(self, job: StoredJob, now: Instant) -> None:
        status, envelope = job.status, job.envelope
        self.tally[envelope.queue, status] += 1
        if status is Status.PROCESSING:
            self.leases.put(job, job.lease_until)
            self.flow.started(job, now)
        elif status is Status.PENDING:
            self.flow.order(job)
            self._to_line(job)
        elif status in {Status.SCHEDULED, Status.RETRYING}:
            self.due.put(job, now if job.scheduled_at is None else job.scheduled_at)
        elif status in FINAL and job.parent is None:
            self.ended[status].put(job, now)
        if job.expires_at is not None and status in QUEUED:
            self.expiring.put(job, job.expires_at)
        self._look(line_of(job), now)

    def withdraw(self, job: StoredJob) -> None:
        """Take a job from what orders it, before anything that orders it changes."""
        status, queue = job.status, job.envelope.queue
        self.tally[queue, status] -= 1
        line = self.flow.lines.get(key) if (key := line_of(job)) is not None else None
        if status is Status.PROCESSING:
            self.leases.take(job)
            if line is not None:
                line.running -= 1
            if self.flow.limits:
                self.wake(queue)
        elif status is Status.PENDING:
            self._from_lane(job)
            if line is not None:
                line.open.pop(job.id, None)
                line.parked.take(job)
        elif status in {Status.SCHEDULED, Status.RETRYING}:
            self.due.take(job)
        elif status in FINAL:
            self.ended[status].take(job)
        if job.expires_at is not None:
            self.expiring.take(job)

    def _to_line(self, job: StoredJob) -> None:
        key = line_of(job)
        if key is None:
            self._to_lane(job)
        else:
            self.flow.lines.setdefault(key, Line()).parked.put(job, job.number)

    def _to_lane(self, job: StoredJob) -> None:
        if job.envelope.v > VERSION:
            return
        queue, name = job.envelope.queue, job.envelope.type
        lanes = self._lanes[queue]
        if (lane := lanes.get(name)) is None:
            lane = lanes[name] = Shelf()
        lane.put(job, job.number)
        if self.waiters and queue not in self.paused:
            for bell, watch in self.waiters.items():
                if queue in watch.queues and name in watch.types:
                    bell.set()

    def _from_lane(self, job: StoredJob) -> None:
        lanes = self._lanes[job.envelope.queue]
        lane = lanes.get(job.envelope.type)
        if lane is not None:
            lane.take(job)
            if not lane:
                del lanes[job.envelope.type]


class Part:
    """One side of the store; all sides share the ledger."""

    _ledger: Ledger

    def _opened(self) -> Ledger:
        """The ledger of an open store.

        Raises:
            BackendClosed: it is not open.
        """
        if not self._ledger.is_open:
            raise BackendClosed("the memory store is closed: open it first")
        return self._ledger
