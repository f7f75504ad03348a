"""A store and the memory store side by side: the same commands, the same answers."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.envelope import VERSION, Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL, Status, Trigger, allowed
from aiojobs_engine.core.status import Counters, RowFault
from aiojobs_engine.ports.backend import Claim, JobFilter, Keep, Record, Settlement, Store
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.laws import check_laws
from aiojobs_engine.testing.conformance.stage import EVENT_OF, Stage
from aiojobs_engine.testing.likeness import events_by_job, failed_rows, queues, results, without_refs

_Answer = TypeVar("_Answer")
Command = Callable[[Stage, Sequence[Claim]], Awaitable[Any]]

_ALL = 1000
_CLAIMS_KEPT = 12
_ROWS = 10
_REOPENED = 50

ids = st.sampled_from(["a", "b", "c", "d", "bulk-1", "bulk-2"])
verbs = st.sampled_from(["cancel", "cancel", "pause", "resume", "retry", "retry", "delete"])
queue_names = st.sampled_from(["default", "other"])
seconds = st.sampled_from([0.0, 0.001, 0.1, 0.25, 1.0, 5.0, 30.0])
picks = st.integers(0, _CLAIMS_KEPT - 1)
exits = st.sampled_from(sorted(EVENT_OF))
cursors = st.sampled_from([None, None, b"", b"1", b'{"at":2}'])
counts = st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2))
chunk_numbers = st.lists(st.integers(1, 3), min_size=1, max_size=3)


class BackendModel(RuleBasedStateMachine):
    """Random commands to a store and to a `MemoryBackend` on one clock; answers and jobs must agree.

    Inherit it and make the store in `make`. A store that outlives its process sets `can_crash` and opens
    itself anew in `crash`. All steps of an example run on one private event loop.
    """

    can_crash = False

    def __init__(self) -> None:
        """Make and open both stores."""
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = ManualClock()
        self.model: Store = MemoryBackend(clock=self.clock)
        self.tested: Store = self.run(self.make(self.clock))
        self.run(self.model.open())
        self.claims: list[tuple[Claim, Claim]] = []
        self.seen: tuple[str | None, str | None] = (None, None)
        self.last: Callable[[], None] = self.agree_on_jobs

    async def make(self, clock: ManualClock) -> Store:
        """The store under test, new, open, on `clock`."""
        backend = MemoryBackend(clock=clock)
        await backend.open()
        return backend

    async def crash(self, store: Store) -> Store:
        """The store as it is found after its process died; only called when `can_crash`."""
        return store

    def run(self, coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
        """What the coroutine returns, run on the private loop."""
        return self.loop.run_until_complete(coroutine)

    def teardown(self) -> None:
        """Compare what is left to compare, look at the laws, and close."""
        try:
            self.run(self._agree_at_the_end())
        finally:
            self.run(self.tested.close())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    @rule(
        job_ids=st.lists(ids, min_size=1, max_size=4),
        queue=queue_names,
        priority=st.integers(-1, 1),
        delay=st.none() | seconds,
        expires=st.none() | st.none() | seconds,
        n=st.sampled_from([1, 1, 1, 2]),
        version=st.sampled_from([VERSION, VERSION, VERSION, VERSION + 1]),
    )
    def enqueue(
        self,
        job_ids: list[str],
        queue: str,
        priority: int,
        delay: float | None,
        expires: float | None,
        n: int,
        version: int,
    ) -> None:
        """Dispatch jobs, often under ids that are stored."""
        stage = Stage(self.model, self.clock)
        envelopes = [
            stage.envelope(
                job_id,
                type="bulk" if job_id.startswith("bulk") else "work",
                queue=queue,
                priority=priority,
                scheduled_at=None if delay is None else stage.after(delay),
                expires_at=None if expires is None else stage.after(expires),
                payload=msgspec.Raw(b'{"n":%d}' % n),
                v=version,
            )
            for job_id in job_ids
        ]
        self._both(lambda stage, _: stage.backend.enqueue(envelopes))

    @initialize()
    def begin(self) -> None:
        """Start with some jobs under way, so that few steps lead far."""
        envelopes = [
            Stage(self.model, self.clock).envelope(job_id, type="bulk" if job_id == "bulk-1" else "work")
            for job_id in ("bulk-1", "a", "b")
        ]
        self._both(lambda stage, _: stage.backend.enqueue(envelopes))
        self._claims(lambda stage: stage.take(lease=1.0))
        self.spawn(0, [1, 2], waits=True, starts=True)

    @rule(
        limit=st.integers(0, 6),
        worker=st.sampled_from(["w1", "w2"]),
        lease=seconds,
        ahead=st.integers(0, 2),
        both=st.booleans(),
    )
    def claim(self, limit: int, worker: str, lease: float, ahead: int = 0, *, both: bool = True) -> None:
        """Claim; what is too late expires before, for a store may expire more than it meets."""
        names = ["default", "other"] if both else ["default"]

        async def command(stage: Stage) -> list[Claim]:
            await stage.backend.promote(_ALL)  # here too, for time may pass before this is repeated
            return await stage.take(limit, worker=worker, lease=lease, ahead=ahead, queues=names)

        self._both(lambda stage, _: stage.backend.promote(_ALL))
        self._claims(command)

    @rule(worker=st.sampled_from(["w1", "w2"]), lease=seconds)
    def rescue(self, worker: str, lease: float) -> None:
        """Take over every lease that ran out."""
        self._claims(lambda stage: _sorted(stage.backend.rescue(worker, _ALL, lease)))

    @precondition(lambda self: self.claims)
    @rule(
        pick=picks,
        status=exits,
        counted=counts,
        counts_crash=st.booleans(),
        delay=seconds,
        cursor=cursors,
        keeps_counters=st.booleans(),
        then=st.sampled_from(["forget it", "go on", "go on", "say it again", "keep the lease"]),
    )
    def settle(
        self,
        pick: int,
        status: Status,
        counted: tuple[int, int, int],
        delay: float,
        cursor: bytes | None,
        *,
        counts_crash: bool,
        keeps_counters: bool,
        then: str,
    ) -> None:
        """End a run, perhaps one that was lost or settled long ago; often the job runs again soon."""
        due_at = Instant(self.clock.now() + round(delay * 1000))

        async def command(stage: Stage, claims: Sequence[Claim]) -> list[bool]:
            claim = claims[-1 - pick % len(claims)]
            fields: dict[str, Any] = {"due_at": due_at, "cursor": cursor, "crashes": claim.crashes}
            if counts_crash:
                fields |= {"attempts": claim.attempts + 1, "crashes": claim.crashes + 1}
            settlement = _settlement(stage, claim, status, None if keeps_counters else counted, fields)
            return await stage.backend.settle([settlement] * (2 if then == "say it again" else 1))

        self._both(command)
        if then in {"forget it", "go on"}:
            self.claims.pop(-1 - pick % len(self.claims))
        if then == "go on":
            self.run(self.clock.advance(delay + 0.001))
            self.claim(2, "w2", 5.0)

    @precondition(lambda self: self.claims)
    @rule(pick=picks, counted=st.none() | counts, message=st.sampled_from([None, "on"]), cursor=cursors)
    def report(
        self, pick: int, counted: tuple[int, int, int] | None, message: str | None, cursor: bytes | None
    ) -> None:
        """Tell progress, checkpoint."""

        async def command(stage: Stage, claims: Sequence[Claim]) -> bool:
            claim = claims[-1 - pick % len(claims)]
            counters = None if counted is None else _counters(claim.envelope, counted)
            event = None if counters is None else stage.progressed(claim, counters, message)
            return await stage.record(claim, counters=counters, message=message, cursor=cursor, event=event)

        self._both(command)

    @precondition(lambda self: self._bulk_claims())
    @rule(pick=picks, numbers=chunk_numbers, waits=st.booleans(), starts=st.booleans())
    def spawn(self, pick: int, numbers: list[int], *, waits: bool, starts: bool) -> None:
        """Store chunks of a bulk job, let it wait for them, and start them."""
        bulk = self._bulk_claims()
        place = bulk[-1 - pick % len(bulk)]

        async def command(stage: Stage, claims: Sequence[Claim]) -> list[bool]:
            claim = claims[place]
            queue = claim.envelope.queue
            children = tuple(stage.chunk(claim.envelope.id, n, _ROWS, queue=queue) for n in numbers)
            answers = await stage.backend.record([Record(lease=claim.lease, children=children)])
            if waits:
                answers.append(await stage.settle(claim, Status.WAITING))
            return answers

        self._both(command)
        if starts:
            self.claim(_ALL, "w1", 5.0)

    @precondition(lambda self: self.claims)
    @rule(some=st.lists(picks, min_size=1, max_size=3), lease=seconds, begins=st.booleans())
    def extend(self, some: list[int], lease: float, *, begins: bool) -> None:
        """Renew leases, held and lost; perhaps begin their runs."""

        async def command(stage: Stage, claims: Sequence[Claim]) -> object:
            leases = [claims[-1 - pick % len(claims)].lease for pick in some]
            if begins:
                await stage.backend.begin(leases)
            return await stage.backend.extend(leases, lease)

        self._both(command)

    @rule(verb=verbs, places=st.lists(st.integers(0, 15), min_size=1, max_size=3), aims=st.booleans())
    def control(self, verb: str, places: list[int], *, aims: bool) -> None:
        """Intervene by hand, at random or where the table allows it."""
        statuses = sorted(allowed(Trigger(verb))) if aims and verb != "delete" else []
        known = [*self._known(*statuses), "unknown"]
        job_ids = [known[place % len(known)] for place in places]
        self._both(lambda stage, _: getattr(stage.backend, verb)(job_ids))

    @precondition(lambda self: self._known(Status.PARTIAL, Status.FAILED))
    @rule(place=st.integers(0, 7), numbers=st.lists(st.integers(_REOPENED, _REOPENED + 2), max_size=2))
    def reopen(self, place: int, numbers: list[int]) -> None:
        """Give an ended job chunks for the rows that failed, and start them."""
        ended = self._known(Status.PARTIAL, Status.FAILED)
        job_id = ended[place % len(ended)]
        self._both(
            lambda stage, _: stage.backend.reopen(job_id, [stage.chunk(job_id, n, _ROWS) for n in numbers])
        )
        self.claim(_ALL, "w1", 5.0)

    @rule(name=queue_names, verb=st.sampled_from(["pause_queue", "resume_queue", "resume_queue"]))
    def control_queue(self, name: str, verb: str) -> None:
        """Pause or resume a queue."""
        self._both(lambda stage, _: getattr(stage.backend, verb)(name))

    @rule(age=seconds)
    def prune(self, age: float) -> None:
        """Prune by age; jobs that ended in one millisecond have no order that a number could cut."""
        keeps = [Keep(tuple(FINAL), age, _ALL)]

        async def command(stage: Stage, _: Sequence[Claim]) -> list[str]:
            return sorted(await stage.backend.prune(keeps, _ALL))

        self._both(command)

    @rule(by=seconds, jump=st.sampled_from([0, 0, 0, 0, -3600, -1, 1, 3600]), reboots=st.integers(0, 9))
    def pass_time(self, by: float, jump: int, reboots: int) -> None:
        """Let time pass; sometimes the wall clock jumps, or the machine boots anew."""
        self.run(self.clock.advance(by))
        if jump:
            self.clock.set_wall(Instant(self.clock.now() + jump * 1000))
        if reboots == 9:
            self.clock.reboot(f"{self.clock.boot()[0]}+")

    @rule()
    def repeat(self) -> None:
        """Send the last command again, as after a lost answer."""
        self.last()

    @precondition(lambda self: self.can_crash)
    @rule()
    def crash_and_reopen(self) -> None:
        """Let the store's process die between two commands."""
        self.tested = self.run(self.crash(self.tested))

    @invariant()
    def agree_on_jobs(self) -> None:
        """Every job stands alike in both, and the same was told of it."""
        self.run(self._agree_on_jobs())

    async def _agree_on_jobs(self) -> None:
        expected, _ = await self.model.find(JobFilter(), _ALL, None)
        found, _ = await self.tested.find(JobFilter(), _ALL, None)
        assert found == expected
        (told, seen), (found_told, found_seen) = [
            await store.read(after, _ALL)
            for store, after in zip((self.model, self.tested), self.seen, strict=True)
        ]
        assert events_by_job(found_told) == events_by_job(told)
        self.seen = (seen, found_seen)

    async def _agree_at_the_end(self) -> None:
        await self._agree_on_jobs()
        stages = [Stage(store, self.clock) for store in (self.model, self.tested)]
        for read in (failed_rows, results, queues):
            expected, found = [await read(stage) for stage in stages]
            assert found == expected
        await check_laws(self.tested, self.clock)

    def _known(self, *statuses: Status) -> list[str]:
        """The ids of stored jobs, of some statuses or of all."""
        jobs, _ = self.run(self.model.find(JobFilter(status=statuses or None), _ALL, None))
        return [job.id for job in jobs]

    def _bulk_claims(self) -> list[int]:
        return [place for place, (claim, _) in enumerate(self.claims) if claim.envelope.type == "bulk"]

    def _both(self, command: Command) -> None:
        """Send a command to both stores; remember it, for it may be repeated."""
        claims = tuple(zip(*self.claims, strict=True)) or ((), ())

        def send() -> None:
            expected, found = (
                self.run(_answered(command(Stage(store, self.clock), own)))
                for store, own in zip((self.model, self.tested), claims, strict=True)
            )
            assert found == expected

        self.last = send
        send()

    def _claims(self, command: Callable[[Stage], Awaitable[list[Claim]]]) -> None:
        """Send a command that hands out claims, and keep these in pairs."""

        def send() -> None:
            expected, found = (
                self.run(_answered(command(Stage(store, self.clock)))) for store in (self.model, self.tested)
            )
            assert without_refs(found) == without_refs(expected)
            self.claims = [*self.claims, *zip(expected, found, strict=True)][-_CLAIMS_KEPT:]

        self.last = send
        send()


async def _answered(answer: Awaitable[_Answer]) -> _Answer:
    return await answer


async def _sorted(claims: Awaitable[list[Claim]]) -> list[Claim]:
    return sorted(await claims, key=lambda claim: claim.envelope.id)


def _counters(envelope: Envelope, counted: tuple[int, int, int]) -> Counters:
    succeeded, failed, skipped = counted
    return Counters(
        succeeded, failed, min(skipped, succeeded), envelope.total or succeeded + failed + skipped
    )


def _chunk_number(envelope: Envelope) -> int:
    """The number of a chunk, 0 of another job."""
    return int(envelope.id.rpartition(":")[2]) if envelope.parent_id and ":" in envelope.id else 0


def _settlement(
    stage: Stage,
    claim: Claim,
    status: Status,
    counted: tuple[int, int, int] | None,
    fields: dict[str, Any],
) -> Settlement:
    """What a careful finalizer would settle: each failed row that it counts, it also names."""
    envelope, number = claim.envelope, _chunk_number(claim.envelope)
    if status is Status.WAITING and envelope.type != "bulk":
        status = Status.COMPLETED
    if counted is not None:
        succeeded, failed, _ = counted
        fields["counters"] = _counters(envelope, counted)
        if number >= _REOPENED:
            fields["resolved"] = tuple(range(_ROWS * succeeded, _ROWS * succeeded + 4))
        elif status in FINAL and envelope.type == "work":
            rows = range(_ROWS * number + 1, _ROWS * number + 1 + failed)
            fields["faults"] = tuple(RowFault(row, None, {"row": row}, None, "no") for row in rows)
    if status in FINAL:
        fields |= {"result": b"[1]", "result_until": fields["due_at"]}
    return stage.settlement(claim, status, **fields)
