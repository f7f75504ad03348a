"""Leases: taken, renewed, and taken over when they ran out."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.enqueue import is_free
from aiojobs_engine.backends.sqlite.fairness import take_turns
from aiojobs_engine.backends.sqlite.flow import gate as open_gate
from aiojobs_engine.backends.sqlite.flow import passed
from aiojobs_engine.backends.sqlite.lines import look, started
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.backends.sqlite.upkeep import expire_jobs, fail_damaged
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.events import JobStarted, LeaseLost, event_of
from aiojobs_engine.core.gates import Gate
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim, Lease, LeaseStatus, Watch

_LOAD = 500
_FEW_LANES = 8
_SHARE = 64
_TURNS = 16
_LOST = LeaseStatus(held=False)


class _Past(msgspec.Struct, array_like=True, gc=False):
    """What earlier runs of a job left; of most jobs nothing."""

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    kept_succeeded: int = 0
    kept_failed: int = 0
    kept_skipped: int = 0
    chunks: int = 0
    cancelling: int = 0
    started_at: int | None = None
    worker: str | None = None
    cursor: str | None = None
    ahead: int = 0
    trace: str | None = None


class _Held(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/hold.sql`."""

    seq: int
    token: int
    attempts: int
    crashes: int
    epoch: int
    total: int
    past: _Past | None

    @property
    def counters(self) -> Counters:
        """What the run starts with."""
        past = self.past
        if past is None:
            return Counters(total=self.total)
        if past.chunks:
            return self.reported
        total = max(self.total, past.kept_succeeded + past.kept_failed)
        return Counters(past.kept_succeeded, past.kept_failed, past.kept_skipped, total)

    @property
    def reported(self) -> Counters:
        """What the run before has counted so far."""
        past = self.past or _NO_PAST
        return Counters(past.succeeded, past.failed, past.skipped, self.total)


_NO_PAST = _Past()
_NO_COUNTERS = Counters()


class _Picked(NamedTuple):
    """What a claim found: jobs to lease and jobs that are past their time, and whether there may be more.

    `opens_at` is when a limit that holds jobs back opens by itself, None without one.
    """

    seqs: list[int]
    past: list[int]
    more: bool
    opens_at: int | None = None


_NOTHING = _Picked([], [], more=False)

_picked = msgspec.json.Decoder(list[list[tuple[int, int, int, int]]]).decode
_held = msgspec.json.Decoder(list[_Held]).decode
_bodies = msgspec.json.Decoder(list[Envelope]).decode
_seqs = msgspec.json.Decoder(list[int]).decode
_costs = msgspec.json.Decoder(list[tuple[int, int, int]]).decode
_extended = msgspec.json.Decoder(list[tuple[int, int, bool, bool]]).decode


def claim(tx: Transaction, watch: Watch, limit: int, lease: float, ahead: int = 0) -> list[Claim]:
    """Lease the first `limit` jobs in claim order; those past their time that are met on the way expire."""
    claims: list[Claim] = []
    for _ in range(_TURNS):
        picked = _pick(tx, watch, limit - len(claims), may_look=True)
        if picked.past:
            expire_jobs(tx, picked.past)
        if picked.seqs:
            at_once = max(0, limit - ahead - len(claims))
            claims += _lease(tx, watch.worker, picked.seqs, lease, picked.seqs[at_once:])
        if not picked.more or len(claims) >= limit:
            return claims
    tx.woke = True
    return claims


def claimable_at(tx: Transaction, watch: Watch) -> int | None:
    """When a claim would find a job, or one to expire, if nothing else happens; None when never."""
    picked = _pick(tx, watch, 1)
    return tx.now if picked.seqs or picked.past else picked.opens_at


def rescue(tx: Transaction, worker: str, limit: int, lease: float) -> list[Claim]:
    """Take over leases that ran out."""
    boot, elapsed = tx.boot
    seqs = _seqs(tx.value("lost", boot=boot, elapsed=elapsed, limit=limit))
    claims: list[Claim] = []
    held = _hold(tx, seqs)
    seqs = [row.seq for row, _ in held]
    for row, envelope in held:
        past = row.past or _NO_PAST
        lost, attempt = past.worker or "", row.attempts + 1
        claims.append(_claim(row, envelope, Instant(past.started_at or 0), lost_worker=lost))
        tx.events.append(
            event_of(LeaseLost, envelope, Status.PROCESSING, row.reported, attempt, tx.now, lost)
        )
    if seqs:
        tx.run("rescue", seqs=seqs, boot=boot, until=tx.lease_until(lease), worker=worker)
    return claims


def extend(tx: Transaction, leases: Sequence[Lease], lease: float) -> list[LeaseStatus]:
    """Renew what holds, and say what was asked for meanwhile."""
    rows = [(held.ref, held.token) for held in leases]
    tx.run("extend", leases=rows, boot=tx.boot[0], until=tx.lease_until(lease))
    held = {
        (seq, token): LeaseStatus(held=True, cancelling=cancelling, pausing=pausing)
        for seq, token, cancelling, pausing in _extended(tx.value("held", leases=rows))
    }
    return [held.get(row, _LOST) for row in rows]


def _pick(tx: Transaction, watch: Watch, limit: int, *, may_look: bool = False) -> _Picked:
    while True:
        lanes = tx.lanes.watched(watch)
        gate = open_gate(tx)
        if gate is not None:
            lanes = [number for number in lanes if gate.is_open(*tx.lane(number)[:2])]
        share = max(_SHARE, limit if len(lanes) <= _FEW_LANES else 4 * limit // len(lanes))
        version, found, again_at = tx.one("pick", lanes=lanes, limit=share, now=tx.now)
        if not tx.lanes.fresh(tx, version):
            continue
        if again_at is None or again_at > tx.now or not may_look:
            break
        look(tx)
    picked = _NOTHING
    if found is not None and gate is None:
        picked = _merged(_picked(found), share, limit)
    elif found is not None and gate is not None:
        picked = _limited(tx, _picked(found), share, limit, gate)
    if gate is not None and may_look:
        passed(tx, gate)
    openings = [at for at in (again_at, None if gate is None else gate.opens_at) if at is not None]
    return picked._replace(opens_at=min(openings)) if openings else picked


def _merged(lanes: list[list[tuple[int, int, int, int]]], share: int, limit: int) -> _Picked:
    """The first jobs of all lanes together.

    Of a lane that gave its whole share more may follow, so nothing beyond its last job is certain to be next.
    """
    ordered = sorted((-priority, turn, seq, past) for lane in lanes for priority, turn, seq, past in lane)
    end = min(((-lane[-1][0], *lane[-1][1:3], 1) for lane in lanes if len(lane) == share), default=None)
    seqs: list[int] = []
    expired: list[int] = []
    for job in ordered:
        if len(seqs) == limit or (end is not None and job > end):
            break
        (expired if job[3] else seqs).append(job[2])
    return _Picked(seqs, expired, more=end is not None)


def _limited(
    tx: Transaction, lanes: list[list[tuple[int, int, int, int]]], share: int, limit: int, gate: Gate
) -> _Picked:
    """As `_merged`, of what a gate lets through; a lane that it has shut hides no jobs of others."""
    ordered = sorted((-priority, turn, seq, past) for lane in lanes for priority, turn, seq, past in lane)
    last = {lane[-1][2] for lane in lanes if len(lane) == share}
    costs = {
        seq: (tx.lane(lane), cost)
        for seq, lane, cost in _costs(tx.value("costs", seqs=[job[2] for job in ordered]))
    }
    seqs: list[int] = []
    expired: list[int] = []
    more = False
    for _, _, seq, past in ordered:
        lane, cost = costs[seq]
        if past:
            expired.append(seq)
        elif gate.take(lane.queue, lane.type, cost):
            seqs.append(seq)
        if len(seqs) == limit:
            break
        if seq in last and gate.is_open(lane.queue, lane.type):
            more = True
            break
    return _Picked(seqs, expired, more=more)


def begin(tx: Transaction, leases: Sequence[Lease]) -> None:
    """Note that jobs which were claimed ahead run now."""
    tx.run("begin", leases=[(held.ref, held.token) for held in leases])


def _lease(
    tx: Transaction, worker: str, seqs: Sequence[int], lease: float, ahead: Sequence[int]
) -> list[Claim]:
    held = _hold(tx, seqs)
    seqs = [row.seq for row, _ in held]
    until = tx.lease_until(lease)
    tx.run("claim", seqs=seqs, boot=tx.boot[0], until=until, worker=worker, now=tx.now, ahead=ahead)
    if any(not is_free(envelope) for _, envelope in held):
        started(tx, [envelope for _, envelope in held])
        take_turns(tx, [(row.seq, envelope) for row, envelope in held])
    claims: list[Claim] = []
    for row, envelope in held:
        claims.append(taken := _claim(row, envelope, tx.now))
        tx.events.append(
            event_of(
                JobStarted, envelope, Status.PROCESSING, taken.counters, row.attempts + 1, tx.now, worker
            )
        )
    return claims


def _hold(tx: Transaction, seqs: Sequence[int]) -> list[tuple[_Held, Envelope]]:
    """What a claim hands out; a job whose body is damaged fails, so that it can't hold up the others."""
    held: list[tuple[_Held, Envelope]] = []
    for start in range(0, len(seqs), _LOAD):
        part = seqs[start : start + _LOAD]
        try:
            held += _read_held(tx, part)
        except (msgspec.MsgspecError, ValueError):
            held += _hold_each(tx, part)
    return held


def _hold_each(tx: Transaction, seqs: Sequence[int]) -> list[tuple[_Held, Envelope]]:
    held: list[tuple[_Held, Envelope]] = []
    for seq in seqs:
        try:
            held += _read_held(tx, [seq])
        except (msgspec.MsgspecError, ValueError) as error:
            fail_damaged(tx, seq, str(error))
    return held


def _read_held(tx: Transaction, seqs: Sequence[int]) -> list[tuple[_Held, Envelope]]:
    rows, bodies = tx.one("hold", seqs=seqs)
    return list(zip(_held(rows), _bodies(bodies or b"[]"), strict=True))


def _claim(row: _Held, envelope: Envelope, started_at: Instant, lost_worker: str | None = None) -> Claim:
    past = row.past
    if past is None:  # most jobs
        return Claim(
            envelope=envelope,
            lease=Lease(envelope.id, envelope.queue, row.token + 1, row.seq),
            attempts=row.attempts,
            crashes=row.crashes,
            epoch=row.epoch,
            started_at=started_at,
            counters=Counters(0, 0, 0, row.total) if row.total else _NO_COUNTERS,
            lost_worker=lost_worker,
        )
    return Claim(
        envelope=envelope,
        lease=Lease(envelope.id, envelope.queue, row.token + 1, row.seq),
        attempts=row.attempts,
        crashes=row.crashes,
        epoch=row.epoch,
        started_at=started_at,
        counters=row.counters,
        cursor=None if past.cursor is None else bytes.fromhex(past.cursor),
        cancelling=bool(past.cancelling),
        lost_worker=lost_worker,
        has_started=lost_worker is None or not past.ahead,
        failed_trace=past.trace,
    )
