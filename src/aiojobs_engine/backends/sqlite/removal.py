"""How jobs go: with their chunks, failures, tags and bodies."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.codes import CODES
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.ports.backend import Keep

_SLACK = 100

_seqs = msgspec.json.Decoder(list[int]).decode


class _Ended(NamedTuple):
    """A final job, in the order in which they end."""

    finished_at: int
    seq: int
    id: str
    is_running: bool


_oldest = msgspec.json.Decoder(list[list[_Ended]]).decode


def remove(tx: Transaction, seqs: Sequence[int]) -> None:
    """Remove jobs and their chunks."""
    if seqs:
        _delete(tx, [*seqs, *chunks_of(tx, seqs)])


def remove_family(tx: Transaction, seqs: Sequence[int]) -> None:
    """Remove chunks and failures of jobs that stay."""
    _delete(tx, chunks_of(tx, seqs))
    tx.run("delete_failures", seqs=seqs)


def chunks_of(tx: Transaction, seqs: Sequence[int]) -> list[int]:
    """The chunks of bulk jobs."""
    return _seqs(tx.value("chunks", seqs=seqs))


def with_running_chunks(tx: Transaction, seqs: Sequence[int]) -> set[int]:
    """Those of the jobs of which chunks run."""
    return set(_seqs(tx.value("running", seqs=seqs)))


def prune(tx: Transaction, keeps: Sequence[Keep], limit: int) -> list[str]:
    """Remove old final jobs, and results past their time; the ids of the jobs."""
    removed: list[str] = []
    for keep in keeps:
        old = _old(tx, keep, limit - len(removed))
        remove(tx, [job.seq for job in old])
        removed += [job.id for job in old]
    tx.run("drop_results", now=tx.now, limit=limit)
    return removed


def _old(tx: Transaction, keep: Keep, limit: int) -> list[_Ended]:
    statuses = [CODES[status] for status in dict.fromkeys(keep.statuses)]
    found = tx.value("oldest_final", statuses=statuses, limit=limit + _SLACK) if limit > 0 else None
    if found is None:
        return []
    left = int(tx.value("count_final", statuses=statuses))
    old: list[_Ended] = []
    for job in sorted(job for jobs in _oldest(found) for job in jobs):
        if len(old) >= limit or (job.finished_at > tx.now - keep.age * 1000 and left <= keep.keep):
            break
        left -= 1
        if not job.is_running:
            old.append(job)
    return old


def _delete(tx: Transaction, seqs: Sequence[int]) -> None:
    if seqs:
        tx.run("delete_failures", seqs=seqs)
        tx.run("delete_tags", seqs=seqs)
        tx.run("delete_bodies", seqs=seqs)
        tx.run("delete_jobs", seqs=seqs)
