"""Unique jobs of the memory store."""

from aiojobs_engine.backends.memory.ledger import Ledger
from aiojobs_engine.backends.memory.records import StoredJob
from aiojobs_engine.core.envelope import Envelope, decode_envelope, encode_envelope
from aiojobs_engine.core.events import JobInterrupted
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.unique import REPLACEABLE, keeps_out, replaced


def holder_of(ledger: Ledger, envelope: Envelope, now: Instant) -> StoredJob | None:
    """The job that keeps a new one out, replaced by it where its rule says so; None lets it in."""
    rule = envelope.unique
    if rule is None:
        return None
    holders = ledger.uniques.get((envelope.queue, rule.key))
    if not holders:
        return None
    job = next(reversed(holders.values()))
    if not keeps_out(rule, job.status, job.envelope.created_at, now):
        return None
    if rule.replaces and job.status in REPLACEABLE and job.envelope.type == envelope.type:
        _replace(ledger, job, envelope, now)
    return job


def _replace(ledger: Ledger, job: StoredJob, envelope: Envelope, now: Instant) -> None:
    before = job.status
    body = encode_envelope(replaced(job.id, job.envelope.created_at, envelope))
    ledger.withdraw(job)
    job.body, job.envelope = body, decode_envelope(body)
    job.scheduled_at, job.expires_at = job.envelope.scheduled_at, job.envelope.expires_at
    is_due = job.scheduled_at is None or job.scheduled_at <= now
    ledger.put_back(job, Status.PENDING if is_due else Status.SCHEDULED, now)
    if job.status is not before:
        ledger.tell(JobInterrupted, job, now)
