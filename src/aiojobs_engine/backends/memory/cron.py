"""The memory store: cron entries and their fires."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import msgspec

from aiojobs_engine.backends.memory.chunks import finish
from aiojobs_engine.backends.memory.control import cancel_job
from aiojobs_engine.backends.memory.flows import add_linked, close_batches, missing_link
from aiojobs_engine.backends.memory.ledger import Ledger, Part
from aiojobs_engine.core.envelope import encode_envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.core.views import listing_end
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.ports.cron import (
    HISTORY_KEPT,
    ON_TIME,
    UNSEEN_AFTER,
    CronEntry,
    CronFire,
    CronRecord,
    Fire,
    Fired,
    FireOutcome,
)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(CronEntry).decode


@dataclass(slots=True)
class StoredCron:
    """An entry; `body` is what callers get, so that they share nothing with the store."""

    body: bytes
    entry: CronEntry
    revision: str
    settled_to: Instant
    seen_at: Instant
    is_enabled: bool = True
    history: deque[tuple[int, CronFire]] = field(default_factory=deque[tuple[int, CronFire]])


class Crons:
    """All entries of a store."""

    def __init__(self) -> None:
        """Start empty."""
        self.by_name: dict[str, StoredCron] = {}
        self.version = 0
        self.numbers = count(1)


class MemoryCron(Part):
    """`CronStore` of the memory store; what each verb means stands in the port."""

    _crons: Crons

    async def put_crons(self, entries: Sequence[CronEntry], *, takes_over: bool = True) -> list[bool]:
        """Store entries, change or announce them."""
        now = self._opened().clock.now()
        return [_put(self._crons, entry, now, takes_over=takes_over) for entry in entries]

    async def remove_crons(self, names: Sequence[str]) -> list[bool]:
        """Forget entries and their history."""
        self._opened()
        answers = [self._crons.by_name.pop(name, None) is not None for name in names]
        self._crons.version += any(answers)
        return answers

    async def enable_crons(self, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
        """Let entries fire, or not."""
        now = self._opened().clock.now()
        answers: list[bool] = []
        for name in names:
            stored = self._crons.by_name.get(name)
            answers.append(stored is not None)
            if stored is not None and stored.is_enabled is not is_enabled:
                stored.is_enabled = is_enabled
                stored.settled_to = max(stored.settled_to, now) if is_enabled else stored.settled_to
                self._crons.version += 1
        return answers

    async def crons_version(self) -> int:
        """A number that changes with the entries."""
        self._opened()
        return self._crons.version

    async def crons(self) -> list[CronRecord]:
        """All entries, by name."""
        self._opened()
        return [
            CronRecord(
                entry=_decode(stored.body),
                revision=stored.revision,
                is_enabled=stored.is_enabled,
                settled_to=stored.settled_to,
                seen_at=stored.seen_at,
                last=stored.history[-1][1] if stored.history else None,
            )
            for _, stored in sorted(self._crons.by_name.items())
        ]

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        """Fire entries; see the port."""
        ledger, now = self._opened(), self._ledger.clock.now()
        bodies = [None if fire.job is None else encode_envelope(fire.job) for fire in fires]
        ledger.check_room(fire.job.id for fire in fires if fire.job is not None)
        answers = [
            _fire(ledger, self._crons, fire, body, now) for fire, body in zip(fires, bodies, strict=True)
        ]
        finish(ledger, now)
        ledger.log.publish()
        return answers

    async def cron_history(
        self, name: str, limit: int, cursor: str | None
    ) -> tuple[list[CronFire], str | None]:
        """At most `limit` fires of an entry, the newest first."""
        self._opened()
        end = listing_end(cursor)
        stored = self._crons.by_name.get(name)
        kept = [] if stored is None else list(stored.history)
        kept = [each for each in reversed(kept) if each[0] < end]
        shown = kept[: max(1, limit)]
        return [fire for _, fire in shown], str(shown[-1][0]) if len(kept) > len(shown) else None


def _put(crons: Crons, entry: CronEntry, now: Instant, *, takes_over: bool) -> bool:
    body, revision = _encode(entry), entry.revision
    stored = crons.by_name.get(entry.name)
    if stored is None:
        crons.by_name[entry.name] = StoredCron(body, _decode(body), revision, settled_to=now, seen_at=now)
    elif stored.entry.is_code is not entry.is_code:
        return False
    elif stored.revision == revision:
        stored.seen_at = now
        return True
    elif not takes_over and stored.seen_at > now - UNSEEN_AFTER * 1000:
        return False
    else:
        stored.body, stored.entry, stored.revision, stored.seen_at = body, _decode(body), revision, now
        stored.settled_to = max(stored.settled_to, Instant(now - round(ON_TIME * 1000)))
    crons.version += 1
    return True


def _fire(ledger: Ledger, crons: Crons, fire: Fire, body: bytes | None, now: Instant) -> Fired:
    stored = crons.by_name.get(fire.name)
    if stored is None:
        return Fired(FireOutcome.REFUSED, Instant(0))
    if not fire.by_hand:
        if not stored.is_enabled or stored.revision != fire.revision:
            return Fired(FireOutcome.REFUSED, stored.settled_to)
        if fire.at <= stored.settled_to:
            return Fired(FireOutcome.SETTLED, stored.settled_to)
        stored.settled_to = fire.at
    is_held = _is_held(ledger, fire)
    outcome = FireOutcome.SKIPPED if is_held else _outcome(ledger, stored, fire, now)
    is_stored = fire.job is not None and outcome is not FireOutcome.SKIPPED
    if is_stored and body is not None and fire.job is not None and fire.job.id not in ledger.jobs:
        add_linked(ledger, fire.job, body, now)
        close_batches(ledger, [fire.job], [Enqueued(fire.job.id, created=True)], now)
    told = CronFire(
        name=fire.name,
        at=fire.at,
        fired_at=now,
        outcome=outcome,
        job_id=fire.job.id if fire.job is not None and is_stored else None,
        missed_from=fire.missed_from,
        waits_for=fire.waits_for if is_held else None,
    )
    stored.history.append((next(crons.numbers), told))
    while len(stored.history) > HISTORY_KEPT:
        stored.history.popleft()
    return Fired(outcome, stored.settled_to)


def _is_held(ledger: Ledger, fire: Fire) -> bool:
    """Whether a fire is skipped because what it depends on has not succeeded, or is gone."""
    if fire.job is None:
        return fire.waits_for is not None
    return bool(fire.job.needs) and missing_link(ledger, [fire.job]) is not None


def _outcome(ledger: Ledger, stored: StoredCron, fire: Fire, now: Instant) -> FireOutcome:
    """What becomes of a fire that is the first of its instant; cancels running jobs where that is asked."""
    if fire.by_hand:
        return FireOutcome.BY_HAND
    if fire.job is None:
        return FireOutcome.MISSED
    fired = [ledger.jobs.get(old.job_id or "") for _, old in stored.history]
    unfinished = [job for job in fired if job is not None and job.status not in FINAL]
    if unfinished and stored.entry.overlap == "skip":
        return FireOutcome.SKIPPED
    if stored.entry.overlap == "cancel_running":
        for job in unfinished:
            cancel_job(ledger, job, now)
    return FireOutcome.FIRED
