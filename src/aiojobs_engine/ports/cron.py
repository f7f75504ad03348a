"""The port's side for cron: entries and what became of their fires; the laws of `ports/backend.py` hold.

No scheduler leads. Each fires what it finds due, and the store says which of them was first: an entry moves
from one fire to the next in the same write that stores the job, so an instant is never fired twice, whoever
asks, how often, and however long ago the job was pruned.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.schedule import CronSpec

Missed = Literal["one", "skip", "all"]
Overlap = Literal["skip", "queue", "cancel_running"]

ON_TIME = 10.0
"""Seconds by which a fire may come late and still is no missed one."""

HISTORY_KEPT = 100
"""Fires that a store keeps of each entry, the newest."""

UNSEEN_AFTER = 90.0
"""Seconds after which an entry in code counts as abandoned when no worker has announced it again."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class CronEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be fired, and when.

    Attributes:
        name: unique in a store.
        job: what each fire dispatches, with times that count from the fire: `created_at` is 0,
            `scheduled_at` and `expires_at` are ms after it. The id is empty.
        missed: of the fires that came to no scheduler in time, the newest is made up for (`one`), none
            (`skip`), or `all` that are at most `missed_within` seconds old. `one` heeds that bound too,
            when there is one.
        overlap: while a job of an earlier fire has not ended, a fire is skipped, queued, or cancels that job.
        environments: it fires only in workers of these environments; empty is any.
        depends_on: entries of which the newest fire has to succeed before a job of this one starts.
        is_code: it stands in the code of workers, and was not added at run time.
    """

    name: str
    spec: CronSpec
    job: Envelope
    missed: Missed = "one"
    missed_within: float | None = None
    overlap: Overlap = "skip"
    environments: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    is_code: bool = False

    @property
    def revision(self) -> str:
        """A digest of all of it: entries that differ in anything have different ones."""
        return hashlib.blake2b(_encode(self), digest_size=8).hexdigest()


class FireOutcome(StrEnum):
    """What became of a fire.

    `fired`: its job was stored. `skipped`: a job of an earlier fire had not ended, or an entry that it
    depends on had not succeeded. `missed`: it was passed over by the policy for missed fires. `by_hand`: a
    person fired it. Those four are history. `settled`: somebody else was first. `refused`: the entry is gone,
    disabled or another one by now.
    """

    FIRED = "fired"
    SKIPPED = "skipped"
    MISSED = "missed"
    BY_HAND = "by_hand"
    SETTLED = "settled"
    REFUSED = "refused"


class Fire(msgspec.Struct, frozen=True, kw_only=True):
    """One fire of an entry, as a scheduler asks for it.

    Attributes:
        revision: that of the entry which it computed the instant from.
        at: the instant of the schedule.
        job: what to store, with its id; its needs are jobs of the entries that it depends on. None passes the
            instant over: as skipped when `waits_for` says why, else as missed.
        waits_for: the entry whose job this one needs, or that holds the fire back.
        missed_from: the first of the instants that are passed over with this one; None without any.
        by_hand: fire whatever the state of the entry, and leave its schedule alone.
    """

    name: str
    revision: str
    at: Instant
    job: Envelope | None
    waits_for: str | None = None
    missed_from: Instant | None = None
    by_hand: bool = False


class Fired(msgspec.Struct, frozen=True):
    """The answer to a fire: its outcome, and up to where the entry is settled now (0 of one that is gone)."""

    outcome: FireOutcome
    settled_to: Instant


class CronFire(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the history.

    Attributes:
        at: the instant of the schedule; `fired_at` is when a scheduler came to it.
        job_id: None of a fire that stored no job.
        waits_for: the entry for want of which a fire was skipped; None of all others.
        missed_from: the first instant that was passed over before this one, None without any.
    """

    name: str
    at: Instant
    fired_at: Instant
    outcome: FireOutcome
    job_id: str | None = None
    missed_from: Instant | None = None
    waits_for: str | None = None


class CronRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored entry.

    Attributes:
        settled_to: every instant up to this one has been fired or passed over.
        seen_at: when a worker announced it last, or when it was added.
        last: the newest of its history, None without one.
    """

    entry: CronEntry
    revision: str
    is_enabled: bool
    settled_to: Instant
    seen_at: Instant
    last: CronFire | None


class CronStore(Protocol):
    """Entries and their fires."""

    async def put_crons(self, entries: Sequence[CronEntry], *, takes_over: bool = True) -> list[bool]:
        """Store entries, or change those of their names; False where nothing was changed or announced.

        A new entry is enabled, and settled up to now. One that is changed stays enabled or disabled, is
        settled up to `ON_TIME` seconds ago at least, and its history stays. The same entry again is
        announced: `seen_at` is now. One that is in the code and one that was added don't replace each
        other.

        Args:
            takes_over: False leaves another entry of the name as it is, unless it was announced longer than
                `UNSEEN_AFTER` seconds ago.
        """
        ...

    async def remove_crons(self, names: Sequence[str]) -> list[bool]:
        """Forget entries and their history; their jobs stay. False for unknown names."""
        ...

    async def enable_crons(self, names: Sequence[str], *, is_enabled: bool) -> list[bool]:
        """Let entries fire, or not; False for unknown names. One enabled again is settled up to now."""
        ...

    async def crons_version(self) -> int:
        """A number that changes when an entry is new, changed, removed, enabled or disabled, by no fire."""
        ...

    async def crons(self) -> list[CronRecord]:
        """All entries, by name."""
        ...

    async def fire(self, fires: Sequence[Fire]) -> list[Fired]:
        """Fire entries; each with its job, its history and the entry's next state in one atomic write.

        In this order: an entry that is gone, disabled or of another revision refuses. An instant that is
        settled is not fired again. A fire without a job is skipped or missed; one whose job needs another
        that is not stored is skipped. With the overlap `skip` and a job of its history that has not ended,
        the fire is skipped; with `cancel_running` such jobs are cancelled, as by `cancel`. Then the job is
        stored, with its `JobCreated`, unless its id is there already; its needs bind it as `enqueue` says.
        `BackendFull` refuses the whole batch.
        """
        ...

    async def cron_history(
        self, name: str, limit: int, cursor: str | None
    ) -> tuple[list[CronFire], str | None]:
        """At most `limit` fires of an entry, the newest first, and the next page's cursor, None at the end.

        Raises:
            ConfigError: the cursor is not one of this store.
        """
        ...


def due_job(entry: CronEntry, job_id: str, now: Instant, delay: int) -> Envelope:
    """The job of a fire at `now`, due `delay` ms later than it would be."""
    prototype = entry.job
    due = prototype.scheduled_at
    expires = prototype.expires_at
    return msgspec.structs.replace(
        prototype,
        id=job_id,
        created_at=now,
        scheduled_at=None if due is None and not delay else Instant(now + (due or 0) + delay),
        expires_at=None if expires is None else Instant(now + delay + expires),
    )
