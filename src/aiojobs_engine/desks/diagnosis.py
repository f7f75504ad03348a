"""Whether a store is sound, and whether what is set up around it can work."""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from aiojobs_engine.core.errors import PayloadError, did_you_mean
from aiojobs_engine.core.options import resolve, strangers
from aiojobs_engine.core.state import Status
from aiojobs_engine.desks.health import is_silent
from aiojobs_engine.lifetime.session import Session
from aiojobs_engine.ports.checkup import Examinable, Finding
from aiojobs_engine.ports.control import TypeRecord, WorkerRecord
from aiojobs_engine.ports.inspector import JobFilter, QueueStats

_WAITING = (Status.PENDING, Status.SCHEDULED, Status.RETRYING)
_LOOKED_AT = 1000
_ORDER = ("error", "warning", "note")


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a store and around it.

    Attributes:
        ok: there is no error; warnings and notes may be there.
        jobs: how many jobs the store holds.
        findings: errors first, then warnings, then notes.
    """

    ok: bool
    jobs: int
    findings: list[Finding]


async def diagnose(session: Session) -> Diagnosis:
    """Look through the store that `session` is open on, and at what works on it."""
    store = session.store
    found = list(await store.examine()) if isinstance(store, Examinable) else [_unexamined(store)]
    queues, workers, published = await store.queues(), await store.workers(), await store.types()
    waiting = await _types_of_waiting(session, found)
    alive = [worker for worker in workers if not is_silent(worker, session)]
    kinds = {record.name: record.kind for record in published}
    kinds |= {job_type.name: job_type.kind for job_type in session.registry.types.values()}
    found += [
        *_unknown_types(waiting, kinds),
        *_unwatched(queues, alive),
        *_silent(workers, alive),
        *_settings(session, kinds, queues, published),
    ]
    return Diagnosis(
        ok=all(finding.severity != "error" for finding in found),
        jobs=sum(sum(queue.counts.values()) for queue in queues),
        findings=sorted(found, key=lambda finding: _ORDER.index(finding.severity)),
    )


def _unexamined(store: object) -> Finding:
    return Finding(
        severity="note",
        what="this store can't be looked through",
        where=type(store).__name__,
        advice="its author can add `examine`; see aiojobs_engine.ports.checkup",
    )


async def _types_of_waiting(session: Session, found: list[Finding]) -> Counter[str]:
    """The types of the newest waiting jobs; that they can't be listed is a finding too."""
    try:
        waiting, _ = await session.store.find(JobFilter(status=_WAITING), _LOOKED_AT, None)
    except (PayloadError, msgspec.MsgspecError) as error:
        found.append(
            Finding(
                severity="error",
                what=f"waiting jobs can't be listed: {error}",
                where="jobs",
                advice="mend what else is found",
            )
        )
        return Counter()
    return Counter(job.type for job in waiting)


def _unknown_types(waiting: Counter[str], kinds: dict[str, str]) -> Iterator[Finding]:
    for name, number in waiting.items():
        if name not in kinds:
            yield Finding(
                severity="warning",
                what=f"{number:,} waiting jobs are of type {name!r}, which no worker has published"
                f"{did_you_mean(name, kinds)}",
                where="job types",
                advice="start a worker that has this type, or cancel the jobs",
            )


def _unwatched(queues: Sequence[QueueStats], alive: Sequence[WorkerRecord]) -> Iterator[Finding]:
    watched = {name for worker in alive for name in worker.queues}
    for queue in queues:
        number = sum(queue.counts.get(status, 0) for status in _WAITING)
        if number and queue.name not in watched:
            yield Finding(
                severity="warning",
                what=f"no worker watches queue {queue.name!r}, where {number:,} jobs wait"
                f"{did_you_mean(queue.name, watched)}",
                where="workers",
                advice=f"start one: worker TARGET -q {queue.name}",
            )


def _silent(workers: Sequence[WorkerRecord], alive: Sequence[WorkerRecord]) -> Iterator[Finding]:
    living = {worker.id for worker in alive}
    for worker in workers:
        if worker.id not in living:
            yield Finding(
                severity="warning",
                what=f"worker {worker.id} (process {worker.pid} on {worker.host}) has stopped beating",
                where="workers",
                advice="look whether it hangs or was killed; others take its jobs over when their leases end",
            )


def _settings(
    session: Session,
    kinds: dict[str, str],
    queues: Sequence[QueueStats],
    published: Sequence[TypeRecord],
) -> Iterator[Finding]:
    settings, own = session.settings, session.registry.types.values()
    known = {queue.name for queue in queues} | {record.queue for record in published}
    known |= {resolve(each.name, each.kind, each.decorated, settings).queue for each in own}
    for stranger in strangers(settings, kinds) if kinds else ():
        yield _wrong_setting(stranger)
    named = {f"[queues.{name}]": name for name in settings.queues}
    named |= {f"[worker] queues: {name}": name for name in settings.worker.queues or ()}
    for setting, name in named.items():
        if known and name not in known:
            hint = did_you_mean(name, known)
            yield _wrong_setting(f"{setting} is for no queue with jobs or job types{hint}")


def _wrong_setting(what: str) -> Finding:
    advice = "correct the name, or take it out"
    return Finding(severity="warning", what=what, where="configuration", advice=advice)
