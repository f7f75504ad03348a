"""The SQLite store: cron entries and their fires."""

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.enqueue import Encoded, add_jobs
from aiojobs_engine.backends.sqlite.ledger import Ledger
from aiojobs_engine.backends.sqlite.linked import enqueue_linked
from aiojobs_engine.backends.sqlite.moves import cancel
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import encode_envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.views import listing_end
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


class _State(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/crons_named.sql`."""

    name: str
    revision: str
    is_code: int
    overlap: str
    enabled: int
    settled_to: int
    seen_at: int


class _SeenFire(msgspec.Struct, array_like=True, gc=False):
    """The newest fire in a row of `sql/crons.sql`."""

    at: int
    fired_at: int
    outcome: FireOutcome
    job_id: str | None
    missed_from: int | None
    waits_for: str | None

    def told(self, name: str) -> CronFire:
        """As callers get it."""
        missed = self.missed_from
        return CronFire(
            name=name,
            at=Instant(self.at),
            fired_at=Instant(self.fired_at),
            outcome=self.outcome,
            job_id=self.job_id,
            missed_from=None if missed is None else Instant(missed),
            waits_for=self.waits_for,
        )


class _SeenCron(msgspec.Struct, array_like=True, gc=False):
    """A row of `sql/crons.sql`."""

    record: str
    revision: str
    enabled: int
    settled_to: int
    seen_at: int
    last: _SeenFire | None


_encode = msgspec.json.Encoder().encode
_states = msgspec.json.Decoder(list[_State]).decode
_crons = msgspec.json.Decoder(list[_SeenCron]).decode
_entry = msgspec.json.Decoder(CronEntry).decode
_pairs = msgspec.json.Decoder(list[tuple[str, str]]).decode
_fires = msgspec.json.Decoder(list[tuple[int, _SeenFire]]).decode


class SqliteCron(Part):
    """`CronStore` of the SQLite store; what each verb means stands in the port."""

    async def put_crons(self, entries: Sequence[CronEntry], *, takes_over: bool = True) -> list[bool]:
        """Store entries, change or announce them."""
        self._writing()
        if not entries:
            return []
        return await self._write(lambda tx: _put(tx, entries, takes_over=takes_over), len(entries))

    async def remove_crons(self, names: Sequence[str]) -> list[bool]:
        """Forget entries and their history."""
        self._writing()
        if not names:
            return []
        return await self._write(lambda tx: _remove(tx, names), len(names))

    async def enable_crons(self, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
        """Let entries fire, or not."""
        self._writing()
        if not names:
            return []
        return await self._write(lambda tx: _enable(tx, names, is_enabled=is_enabled), len(names))

    async def crons_version(self) -> int:
        """A number that changes with the entries."""
        return int(await self._reading().value("crons_version"))

    async def crons(self) -> list[CronRecord]:
        """All entries, by name."""
        return [_record(seen) for seen in _crons(await self._reading().value("crons"))]

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        """Fire entries; see the port."""
        self._writing()
        if not fires:
            return []
        bodies = [None if fire.job is None else (fire.job, encode_envelope(fire.job)) for fire in fires]
        return await self._write(lambda tx: _fire(tx, fires, bodies), len(fires))

    async def cron_history(
        self, name: str, limit: int, cursor: str | None
    ) -> tuple[list[CronFire], str | None]:
        """At most `limit` fires of an entry, the newest first."""
        limit = max(1, limit)
        text = await self._reading().value(
            "cron_history", name=name, before=listing_end(cursor), limit=limit + 1
        )
        rows = _fires(text)
        shown = [seen.told(name) for _, seen in rows[:limit]]
        return shown, str(rows[limit - 1][0]) if len(rows) > limit else None


def _put(tx: Transaction, entries: Sequence[CronEntry], *, takes_over: bool) -> list[bool]:
    known = _named(tx, [entry.name for entry in entries])
    changed: dict[str, tuple[object, ...]] = {}
    announced: list[str] = []
    answers: list[bool] = []
    for entry in entries:
        revision, state = entry.revision, known.get(entry.name)
        if state is not None and bool(state.is_code) is not entry.is_code:
            answers.append(False)
            continue
        if state is not None and state.revision == revision:
            announced.append(entry.name)
        elif state is not None and not takes_over and state.seen_at > tx.now - UNSEEN_AFTER * 1000:
            answers.append(False)
            continue
        else:
            settled = tx.now if state is None else max(state.settled_to, tx.now - round(ON_TIME * 1000))
            enabled = 1 if state is None else state.enabled
            known[entry.name] = _State(
                entry.name, revision, int(entry.is_code), entry.overlap, enabled, settled, tx.now
            )
            changed[entry.name] = (
                entry.name,
                revision,
                int(entry.is_code),
                entry.overlap,
                settled,
                tx.now,
                _encode(entry).decode(),
            )
        answers.append(True)
    if changed:
        tx.run("add_crons", rows=list(changed.values()))
        tx.run("bump_crons")
    if announced:
        tx.run("touch_crons", names=announced, now=tx.now)
    return answers


def _remove(tx: Transaction, names: Sequence[str]) -> list[bool]:
    known = _named(tx, names)
    if known:
        tx.run("delete_crons", names=list(known))
        tx.run("delete_cron_fires", names=list(known))
        tx.run("bump_crons")
    return [known.pop(name, None) is not None for name in names]


def _enable(tx: Transaction, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
    known = _named(tx, names)
    if tx.run("enable_crons", names=list(known), enabled=int(is_enabled), now=tx.now):
        tx.run("bump_crons")
    return [name in known for name in names]


def _fire(tx: Transaction, fires: Sequence[Fire], bodies: Sequence[Encoded | None]) -> list[Fired]:
    states = _named(tx, [fire.name for fire in fires])
    unfinished = _unfinished(tx, states)
    answers: list[Fired] = []
    history: list[tuple[object, ...]] = []
    jobs: dict[str, Encoded] = {}
    doomed: dict[str, list[str]] = {}
    absent = _absent(tx, fires)
    for fire, body in zip(fires, bodies, strict=True):
        is_held = _is_held(fire, absent - jobs.keys())
        outcome = _outcome(states.get(fire.name), fire, unfinished[fire.name], is_held=is_held)
        state = states.get(fire.name)
        if state is not None and outcome not in (FireOutcome.REFUSED, FireOutcome.SETTLED):
            state.settled_to = state.settled_to if fire.by_hand else fire.at
            job_id = None
            if body is not None and outcome is not FireOutcome.SKIPPED:
                job_id = body[0].id
                if outcome is FireOutcome.FIRED and state.overlap == "cancel_running":
                    doomed[job_id] = unfinished[fire.name]
                    unfinished[fire.name] = []
                jobs.setdefault(job_id, body)
                unfinished[fire.name] = [*unfinished[fire.name], job_id]
            waits_for = fire.waits_for if is_held and outcome is FireOutcome.SKIPPED else None
            history.append((fire.name, fire.at, tx.now, outcome, job_id, fire.missed_from, waits_for))
        answers.append(Fired(outcome, Instant(0 if state is None else state.settled_to)))
    if history:
        add_jobs(tx, [job for job in jobs.values() if not job[0].needs], int(tx.value("last_job")))
        if bound := [job for job in jobs.values() if job[0].needs]:
            enqueue_linked(tx, bound)
        _cancel(tx, [job_id for ids in doomed.values() for job_id in ids])
        tx.run("settle_crons", rows=[(state.name, state.settled_to) for state in states.values()])
        tx.run("add_cron_fires", rows=history)
        tx.run("trim_cron_fires", names=list(states), keep=HISTORY_KEPT)
    return answers


def _absent(tx: Transaction, fires: Sequence[Fire]) -> set[str]:
    """The jobs that new ones need and that are not stored."""
    needed = {need.job_id for fire in fires if fire.job is not None for need in fire.job.needs}
    return needed - Ledger(tx).by_id(list(needed)).keys() if needed else needed


def _is_held(fire: Fire, absent: AbstractSet[str]) -> bool:
    """Whether a fire is skipped because what it depends on has not succeeded, or is gone."""
    if fire.job is None:
        return fire.waits_for is not None
    return bool(absent) and any(need.job_id in absent for need in fire.job.needs)


def _outcome(state: _State | None, fire: Fire, unfinished: Sequence[str], *, is_held: bool) -> FireOutcome:
    if state is None:
        return FireOutcome.REFUSED
    if fire.by_hand:
        return FireOutcome.BY_HAND
    if not state.enabled or state.revision != fire.revision:
        return FireOutcome.REFUSED
    if fire.at <= state.settled_to:
        return FireOutcome.SETTLED
    if is_held:
        return FireOutcome.SKIPPED
    if fire.job is None:
        return FireOutcome.MISSED
    if state.overlap == "skip" and unfinished:
        return FireOutcome.SKIPPED
    return FireOutcome.FIRED


def _unfinished(tx: Transaction, states: dict[str, _State]) -> defaultdict[str, list[str]]:
    """By entry, the jobs that have not ended, where the entry cares."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    careful = [state.name for state in states.values() if state.overlap != "queue"]
    if careful:
        for name, job_id in _pairs(tx.value("cron_unfinished", names=careful)):
            found[name].append(job_id)
    return found


def _cancel(tx: Transaction, ids: Sequence[str]) -> None:
    if ids:
        ledger = Ledger(tx)
        for row in ledger.by_id(ids).values():
            cancel(ledger, row)
        ledger.store()


def _named(tx: Transaction, names: Sequence[str]) -> dict[str, _State]:
    return {state.name: state for state in _states(tx.value("crons_named", names=list(names)))}


def _record(seen: _SeenCron) -> CronRecord:
    entry, last = _entry(seen.record), seen.last
    return CronRecord(
        entry=entry,
        revision=seen.revision,
        is_enabled=bool(seen.enabled),
        settled_to=Instant(seen.settled_to),
        seen_at=Instant(seen.seen_at),
        last=None if last is None else last.told(entry.name),
    )
