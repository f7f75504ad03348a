"""`engine.cron`: the decorator for entries in code, and the desk for all entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Unpack, cast

from aiojobs_engine.bulk.importer import ImportType
from aiojobs_engine.bulk.registry import JobRegistry
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.errors import ConfigError, did_you_mean
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.job import CallOptions, Job
from aiojobs_engine.core.limits import checked_name
from aiojobs_engine.core.schedule import Schedule
from aiojobs_engine.desks.cron_views import CronRun, CronStatus, runs, statuses
from aiojobs_engine.dispatching.crons import entry, entry_in_code
from aiojobs_engine.dispatching.names import NamedType
from aiojobs_engine.handle import JobHandle
from aiojobs_engine.lifetime.session import OpenSession, Session
from aiojobs_engine.listing import Listing, Page, is_count, whole
from aiojobs_engine.ports.cron import (
    UNSEEN_AFTER,
    CronRecord,
    Fire,
    FireOutcome,
    due_job,
)
from aiojobs_engine.runtime.cron import CronDecorator, CronOptions, cron
from aiojobs_engine.runtime.plans import (
    TIMING,
    TimingOptions,
    check_order,
    check_repeatable,
    checked_cron_name,
    checked_timing,
)
from aiojobs_engine.runtime.registry import JobType

_MOST_PREVIEWED = 1000


class CronAddOptions(TimingOptions, CallOptions, total=False):
    """What `engine.cron.add` takes too: when the entry fires, and the options of its jobs."""


class CronDesk:
    """Cron entries, in code and added at run time; `@engine.cron("0 3 * * *")` makes one in code."""

    __slots__ = ("_open", "_registry")

    def __init__(self, open_session: OpenSession, registry: JobRegistry) -> None:
        """Belong to an engine."""
        self._open = open_session
        self._registry = registry

    def __call__(self, expression: str, **options: Unpack[CronOptions]) -> CronDecorator:
        """Register the decorated function as a job type and a cron entry; see `JobRegistry.cron`."""
        return cron(self._registry, expression, cast("Mapping[str, Any]", options))

    def list(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[CronStatus]:
        """All entries, by name: the stored ones, and those registered here."""

        async def read() -> list[CronStatus]:
            session = self._open()
            return await statuses(session, await self._records(session))

        return whole(read, lambda status: status.name, limit, cursor)

    async def add(
        self,
        name: str,
        expression: str,
        what: JobType[..., Any] | str,
        *,
        args: Mapping[str, Any] | None = None,
        **options: Unpack[CronAddOptions],
    ) -> CronStatus:
        """Store an entry, or change the one of this name.

        Every worker follows it within a second, the first one of a store within five.

        Args:
            what: a job type, or the name of one that is registered here or published by workers.
            args: the arguments of each fire, by name.

        Raises:
            ConfigError: the expression never fires or is malformed, an option is wrong, an entry in code has
                the name, or what it depends on is unknown or waits for it.
            PayloadError: `args` don't fit the job type.
            UnknownJobType: nobody knows the job type, and no queue is given.
        """
        session = self._open()
        given = dict(cast("Mapping[str, Any]", options))
        timing = checked_timing(expression, {key: given.pop(key) for key in TIMING & given.keys()})
        check_repeatable(given, f"cron entry {name!r}")
        others = await self._records(session)
        _check_formers(checked_cron_name(name), timing.depends_on, others)
        made = entry(name, timing, await self._envelope(session, what, args or {}, given))
        (is_taken,) = await session.store.put_crons([made])
        if not is_taken:
            raise ConfigError(
                f"a cron entry in code is named {name!r}; choose another name, or change the code"
            )
        records = await self._records(session)
        return (await statuses(session, records, {name}))[0]

    async def remove(self, name: str) -> None:
        """Forget an entry and its history; its jobs stay.

        Raises:
            ConfigError: there is none of this name, or workers have it in their code: disable that.
        """
        session = self._open()
        record = await self._record(session, name)
        is_announced = record.seen_at > session.clock.now() - UNSEEN_AFTER * 1000
        if record.entry.is_code and (is_announced or name in self._registry.crons):
            raise ConfigError(f"cron entry {name!r} stands in code; disable it, or take it out of the code")
        await session.store.remove_crons([name])

    async def enable(self, name: str | None = None) -> int:
        """Let an entry fire again from now on, or all entries without a name; how many there are.

        Raises:
            ConfigError: there is none of this name.
        """
        return await self._enable(name, is_enabled=True)

    async def disable(self, name: str | None = None) -> int:
        """Let an entry fire no more, or all that there are without a name; how many there are.

        What was fired already runs. Fires that pass meanwhile are not made up for.

        Raises:
            ConfigError: there is none of this name.
        """
        return await self._enable(name, is_enabled=False)

    async def run_now(self, name: str) -> JobHandle[Any]:
        """Dispatch the job of an entry now, whatever its schedule; also of a disabled one.

        Raises:
            ConfigError: there is none of this name.
        """
        session = self._open()
        record = await self._stored(session, name)
        now = session.clock.now()
        job = due_job(record.entry, f"cron:{name}:{self._registry.ids()}", now, 0)
        tracing = session.tracing()
        with nullcontext(job) if tracing is None else tracing.send(job) as carrying:
            fire = Fire(name=name, revision=record.revision, at=now, job=carrying, by_hand=True)
            (answer,) = await session.store.fire([fire])
        if answer.outcome is not FireOutcome.BY_HAND:
            raise ConfigError(f"cron entry {name!r} was removed meanwhile")
        return JobHandle(job.id, self._open, created=True)

    def history(self, name: str, *, limit: int | None = None, cursor: str | None = None) -> Listing[CronRun]:
        """The fires of an entry, the newest first; 100 are kept.

        Raises:
            ConfigError: there is none of this name (raised when the listing is read), or `limit` is wrong.
        """

        async def page(size: int, after: str | None) -> Page[CronRun]:
            session = self._open()
            await self._record(session, name)
            fires, following = await session.store.cron_history(name, size, after)
            return Page(await runs(session, fires), following)

        return Listing(page, limit=limit, cursor=cursor)

    async def preview(self, name: str, n: int = 5) -> Sequence[datetime]:
        """The next `n` instants of an entry, enabled or not, in its time zone; jitter comes on top.

        Raises:
            ConfigError: there is none of this name, `n` is not within 1 to 1,000, or it can't be fired here.
        """
        if not is_count(n) or n > _MOST_PREVIEWED:
            raise ConfigError(f"n is a number of instants, 1 to {_MOST_PREVIEWED:,}, got {n!r}")
        session = self._open()
        record = await self._record(session, name)
        schedule = Schedule(record.entry.spec)
        found: list[datetime] = []
        at = schedule.next_fire(session.clock.now())
        while at is not None and len(found) < n:
            found.append(schedule.in_zone(at))
            at = schedule.next_fire(at)
        return found

    async def _enable(self, name: str | None, *, is_enabled: bool) -> int:
        session = self._open()
        if name is not None:
            await self._stored(session, name)
            names = [name]
        else:
            records = await self._records(session)
            names = [(await self._stored(session, each)).entry.name for each in records]
        return sum(await session.store.enable_crons(names, is_enabled=is_enabled))

    async def _records(self, session: Session) -> dict[str, CronRecord]:
        """All entries by name; those registered here that no worker has announced yet are new ones."""
        found = {record.entry.name: record for record in await session.store.crons()}
        for name, plan in self._registry.crons.items():
            if name not in found:
                made = entry_in_code(plan, session.registry, session.templates)
                now = session.clock.now()
                found[name] = CronRecord(
                    entry=made,
                    revision=made.revision,
                    is_enabled=True,
                    settled_to=now,
                    seen_at=Instant(0),
                    last=None,
                )
        return found

    async def _record(self, session: Session, name: str) -> CronRecord:
        records = await self._records(session)
        if name not in records:
            raise ConfigError(f"there is no cron entry {name!r:.80}{did_you_mean(str(name), records)}")
        return records[name]

    async def _stored(self, session: Session, name: str) -> CronRecord:
        """An entry that is in the store now."""
        record = await self._record(session, name)
        await session.store.put_crons([record.entry], takes_over=False)
        return record

    async def _envelope(
        self,
        session: Session,
        what: JobType[..., Any] | str,
        args: Mapping[str, Any],
        options: Mapping[str, Any],
    ) -> Envelope:
        found = self._registry.types.get(what) if isinstance(what, str) else what
        if isinstance(found, ImportType):
            raise ConfigError(
                f"{found.name} is an importer, which takes a source; fire a job that dispatches it"
            )
        if found is None:
            job_type: Any = NamedType(checked_name(str(what), "the name of a job type"), self._registry.ids)
        elif isinstance(found, JobType):  # pyright: ignore[reportUnnecessaryIsInstance]
            session.templates.adopt(found)
            job_type = found
        else:
            raise ConfigError(f"{what!r:.80} is no job type or name of one; decorate it with @engine.job()")
        job: Job[Any] = job_type.options(**options).job(**args)
        return session.templates.envelope(job) or await session.templates.looked_up(job)


def _check_formers(name: str, depends_on: Sequence[str], others: Mapping[str, CronRecord]) -> None:
    for former in depends_on:
        if former not in others and former != name:
            raise ConfigError(
                f"cron entry {name!r} depends on {former!r:.80}, which is no entry"
                f"{did_you_mean(former, others)}"
            )
    check_order(name, {**{each: others[each].entry.depends_on for each in others}, name: depends_on})
