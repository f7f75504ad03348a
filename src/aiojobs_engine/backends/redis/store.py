"""The store in one home: what workers and dispatchers call."""

import asyncio
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import msgspec

from aiojobs_engine.backends.redis.control import RedisControl
from aiojobs_engine.backends.redis.cron import RedisCron
from aiojobs_engine.backends.redis.examiner import RedisExaminer
from aiojobs_engine.backends.redis.executions import RedisExecutions
from aiojobs_engine.backends.redis.handover import Letter, Waiting
from aiojobs_engine.backends.redis.home import Home
from aiojobs_engine.backends.redis.inspector import RedisInspector
from aiojobs_engine.backends.redis.keys import PLACE
from aiojobs_engine.backends.redis.limits import RedisLimits
from aiojobs_engine.backends.redis.new_jobs import encoded_job, encoded_jobs
from aiojobs_engine.backends.redis.rows import (
    counters_of,
    counters_of_run,
    decode_envelopes,
    decode_error,
    encode,
    encoded_counters,
    envelope_of,
    envelope_part,
    state_of,
)
from aiojobs_engine.backends.redis.settlements import encoded_settlements
from aiojobs_engine.backends.redis.stream import RedisStream
from aiojobs_engine.core.envelope import Envelope, decode_envelope, is_same_job
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import (
    Claim,
    Enqueued,
    Lease,
    LeaseStatus,
    Promoted,
    Record,
    Settlement,
    Watch,
)
from aiojobs_engine.ports.clock import Clock

_TURNS = 16
_HELD, _CANCELLING, _PAUSING = 1, 2, 4
_ANSWERS = [LeaseStatus(held=False)] * 8
for _flags in range(8):
    if _flags & _HELD:
        _ANSWERS[_flags] = LeaseStatus(
            held=True, cancelling=bool(_flags & _CANCELLING), pausing=bool(_flags & _PAUSING)
        )


class HomeStore(
    RedisControl, RedisCron, RedisExaminer, RedisExecutions, RedisInspector, RedisLimits, RedisStream
):
    """All seven Protocols of the port in one home; who makes it opens and closes the client."""

    def __init__(self, home: Home, *, clock: Clock) -> None:
        """Let `clock` measure how long calls wait."""
        self._home = home
        self._clock = clock
        claim_ids = (f"{secrets.token_hex(8)}-{number:x}" for number in count())
        self._waiting = Waiting(home, claim_ids, clock)

    async def enqueue(self, envelopes: Sequence[Envelope]) -> list[Enqueued]:
        """Store new jobs; see the port."""
        if not envelopes:
            return []
        home = self._home
        bodies: list[bytes] = []
        first: dict[str, Envelope] = {}
        for envelope in envelopes:
            first.setdefault(envelope.id, envelope)
        jobs = encoded_jobs(first.values(), home.lanes, bodies)
        entry, replies, *missing = await home.run("enqueue", jobs, bodies)
        home.told(entry, is_all_new=replies == 1)
        if replies == 1 and len(first) == len(envelopes):
            return [Enqueued(envelope.id, created=True) for envelope in envelopes]
        if missing:
            name = missing[0].decode()
            return [Enqueued(envelope.id, created=False, missing=name) for envelope in envelopes]
        each = [1] * len(first) if replies == 1 else replies
        answers: dict[str, Any] = dict(zip(first, each, strict=True))
        told: list[Enqueued] = []
        for envelope in envelopes:
            answer = answers[envelope.id]
            if isinstance(answer, list):
                holder = cast("list[bytes]", answer)[0].decode()
                told.append(Enqueued(holder, created=False))
                continue
            if answer == 0:
                told.append(Enqueued(envelope.id, created=False, refused=True))
                continue
            is_new = answer == 1 and first[envelope.id] is envelope
            stored = first[envelope.id] if answer == 1 else envelope_of(answer)
            told.append(Enqueued(envelope.id, is_new, not is_same_job(stored, envelope)))
        return told

    async def claim(self, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
        """Lease pending jobs in claim order; see the port."""
        if limit <= 0:
            return []
        home, worker = self._home, watch.worker
        if taken := self._waiting.take(worker):
            letter, age = taken
            entry = (letter.entry.encode(), letter.events.encode())
            asyncio.get_running_loop().call_soon(home.told, entry)  # the handler waits for no listener
            return [_handed_over(letter, home.mark, age)]
        claim_id, has_waited = self._waiting.begin(worker, round(lease * 1000))
        try:
            return await self._claimed(
                watch, (claim_id, worker, limit, ahead, round(lease * 1000)), has_waited
            )
        except BaseException:
            if has_waited:
                self._waiting.fail(worker, claim_id)
            raise

    async def wait(self, watch: Watch, timeout: float, *, is_idle: bool = False) -> None:
        """Return when the watched queues may have gained work, or after `timeout` seconds."""
        home = self._home
        deadline = self._clock.monotonic() + timeout
        # in a Cluster messages may come long after what they tell of
        is_prompt = home.client.address.kind != "cluster"
        is_known = is_idle and is_prompt
        channels = [f"{home.prefix}wake", *([self._waiting.channel(watch.worker)] if is_known else [])]
        try:
            async with home.bell.listening(channels) as wake:
                while home.client.is_open:
                    opens_in = await self.claimable_in(watch, is_known=is_known)
                    left = deadline - self._clock.monotonic()
                    if opens_in == 0 or left <= 0:
                        return
                    await wake.wait(left if opens_in is None else min(left, opens_in))
                    self._waiting.look(watch.worker)
                    if is_prompt or self._clock.monotonic() >= deadline:
                        return  # the claim asks the same, and takes what is there
        except asyncio.CancelledError:
            if gone := self._waiting.quit(watch.worker):
                home.tell("stop_waiting", gone)
            raise

    async def leave(self, worker_id: str) -> None:
        """Forget a worker that stopped."""
        if gone := self._waiting.leave(worker_id):
            await self._home.write("stop_waiting", gone)
        await super().leave(worker_id)

    async def claimable_in(self, watch: Watch, *, is_known: bool = False) -> float | None:
        """Seconds until a claim would find something, 0 when it would now, None when time brings nothing.

        A watch that `is_known` is woken for one new job among many or handed it, until its next claim.
        """
        home = self._home
        if self._waiting.has_letter(watch.worker):
            return 0
        terms = self._waiting.enter(watch.worker) if is_known else (False,)
        while True:
            is_claimable, opens_in = await home.run("waiting", (*home.watched(watch), *terms))
            if is_claimable < 0:
                home.learn(opens_in)
            elif is_claimable:
                return 0
            else:
                return None if opens_in < 0 else max(0.001, opens_in / 1000)

    async def begin(self, leases: Sequence[Lease]) -> None:
        """Note that jobs which were claimed ahead run now; see the port."""
        if leases:
            places = [str(lease.ref & PLACE) for lease in leases]
            await self._home.run("begin", (places, [lease.token for lease in leases]))

    async def extend(self, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
        """Let leases end `lease` seconds from now; see the port."""
        if not leases:
            return []
        places = [str(held.ref & PLACE) for held in leases]
        request = (round(lease * 1000), places, [held.token for held in leases])
        return [_ANSWERS[flags] for flags in await self._home.run("extend", request)]

    async def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """End runs; see the port."""
        if not settlements:
            return []
        answers = await self._home.write("settle", encoded_settlements(settlements))
        return [True] * len(settlements) if answers == 1 else [answer == 1 for answer in answers]

    async def record(self, records: Sequence[Record]) -> list[bool]:
        """Store what runs report; see the port."""
        if not records:
            return []
        bodies: list[bytes] = []
        request = [self._record(each, bodies) for each in records]
        return [answer == 1 for answer in await self._home.write("record", request, bodies)]

    async def promote(self, limit: int) -> Promoted:
        """Expire what is too late, and make due jobs pending; see the port."""
        changed, due = await self._home.write("promote", limit)
        return Promoted(changed, None if due is None else Instant(int(due)))

    async def rescue(self, worker: str, limit: int, lease: float) -> list[Claim]:
        """Take over leases that ran out; see the port."""
        reply = await self._home.run("rescue", (worker, limit, round(lease * 1000)))
        self._home.told(reply[0])
        places, states, bodies, lost, started = (reply[1 + part :: 5] for part in range(5))
        rows = zip(places, states, bodies, lost, started, strict=True)
        mark = self._home.mark
        return [
            _lost(int(place) + mark, state, body, by.decode(), begun)
            for place, state, body, by, begun in rows
        ]

    async def _claimed(
        self,
        watch: Watch,
        claim: tuple[str, str, int, int, int],
        has_waited: bool,  # noqa: FBT001
    ) -> list[Claim]:
        home = self._home
        for _ in range(_TURNS):
            reply = await home.run("claim", (*claim, *home.watched(watch), has_waited))
            if not reply[0]:
                home.learn(reply[1])
                continue
            home.told(reply[2])
            if not reply[3]:
                return _claims(reply, home.mark)
        return []

    def _record(self, record: Record, bodies: list[bytes]) -> tuple[Any, ...]:
        children = [(*encoded_job(child, self._home.lanes, bodies), child.total) for child in record.children]
        return (
            str(record.lease.ref & PLACE),
            record.lease.token,
            False if record.counters is None else encoded_counters(record.counters),
            False if record.message is None else record.message,
            False if record.cursor is None else record.cursor.decode(),
            False if record.event is None else encode(record.event).decode(),
            children or False,
        )


def _claims(reply: list[Any], mark: int) -> list[Claim]:
    now = Instant(int(reply[1]))
    places, states, bodies = reply[4::3], reply[5::3], reply[6::3]
    envelopes = decode_envelopes([envelope_part(body) for body in bodies])
    return [
        _fresh(envelope, int(place) + mark, now) if not state else _claim(envelope, int(place) + mark, state)
        for envelope, place, state in zip(envelopes, places, states, strict=True)
    ]


def _handed_over(letter: Letter, mark: int, age: float) -> Claim:
    claim = _fresh(decode_envelope(letter.envelope), int(letter.place) + mark, Instant(int(letter.at)))
    return msgspec.structs.replace(claim, has_started=False, age=age)


def _fresh(envelope: Envelope, ref: int, now: Instant) -> Claim:
    return Claim(
        envelope=envelope,
        lease=Lease(envelope.id, envelope.queue, 1, ref),
        attempts=0,
        crashes=0,
        epoch=0,
        started_at=now,
        counters=Counters(total=envelope.total),
    )


def _claim(envelope: Envelope, ref: int, stored: bytes) -> Claim:
    state = state_of(stored)
    rest = state.extra
    return Claim(
        envelope=envelope,
        lease=Lease(envelope.id, envelope.queue, state.token, ref),
        attempts=state.attempts,
        crashes=state.crashes,
        epoch=rest.epoch,
        started_at=Instant(int(state.started)),
        counters=counters_of(state, envelope),
        cursor=None if rest.cursor is None else rest.cursor.encode(),
        cancelling=rest.cancelling,
        failed_trace=None if rest.error is None else decode_error(rest.error).trace,
    )


def _lost(ref: int, stored: bytes, body: bytes, worker: str, has_started: int) -> Claim:
    envelope = envelope_of(body)
    counters = counters_of_run(state_of(stored), envelope)
    return msgspec.structs.replace(
        _claim(envelope, ref, stored),
        counters=counters,
        lost_worker=worker,
        has_started=bool(has_started),
    )
