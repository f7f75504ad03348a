"""How jobs go: with their chunks, failures, tags and bodies."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.codes import CODES
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.ports.backend import Keep

_SHARE = 64
_LANES = 4

_seqs = msgspec.json.Decoder(list[int]).decode


class _Ended(NamedTuple):
    """A final job, in the order in which they end."""

    finished_at: int
    seq: int
    id: str
    is_running: bool


class _Found(NamedTuple):
    """Jobs that ended first, and whether there are no others behind them."""

    jobs: list[_Ended]
    is_all: bool


_oldest = msgspec.json.Decoder(list[list[_Ended]]).decode


def remove(tx: Transaction, seqs: Sequence[int]) -> None:
    """Remove jobs and their chunks and members."""
    if seqs:
        _delete(tx, [*seqs, *chunks_of(tx, seqs)])


def remove_family(tx: Transaction, seqs: Sequence[int]) -> None:
    """Remove chunks and failures of jobs that stay."""
    _delete(tx, chunks_of(tx, seqs))
    tx.run("delete_failures", seqs=seqs)


def chunks_of(tx: Transaction, seqs: Sequence[int]) -> list[int]:
    """The chunks of bulk jobs and the members of batches, and theirs."""
    return _seqs(tx.value("chunks", seqs=seqs))


def with_running_chunks(tx: Transaction, seqs: Sequence[int]) -> set[int]:
    """Those of the jobs of which chunks or members run."""
    return set(_seqs(tx.value("running", seqs=seqs)))


def prune(tx: Transaction, keeps: Sequence[Keep], limit: int) -> list[str]:
    """Remove old final jobs, and results past their time; the ids of the jobs."""
    removed: list[str] = []
    for keep in keeps:
        removed += _prune(tx, keep, limit - len(removed))
    tx.run("drop_results", now=tx.now, limit=limit)
    tx.run("delete_turn_ends")
    return removed


def _prune(tx: Transaction, keep: Keep, limit: int) -> list[str]:
    statuses = [CODES[status] for status in dict.fromkeys(keep.statuses)]
    share = max(_SHARE, limit // _LANES)
    removed: list[str] = []
    while len(removed) < limit:
        found = _ended(tx, statuses, share)
        left = int(tx.value("count_final", statuses=statuses, most=keep.keep + len(found.jobs) + 1))
        old = [job for place, job in enumerate(found.jobs) if _is_over(tx, job, keep, left - place)]
        gone = [job for job in old if not job.is_running][: limit - len(removed)]
        remove(tx, [job.seq for job in gone])
        removed += [job.id for job in gone]
        if found.is_all or len(old) < len(found.jobs):
            break
        share += 0 if gone else share  # those whose chunks run stay at the head
    return removed


def _is_over(tx: Transaction, job: _Ended, keep: Keep, left: int) -> bool:
    return job.finished_at <= tx.now - keep.age * 1000 or left > keep.keep


def _ended(tx: Transaction, statuses: Sequence[int], share: int) -> _Found:
    """Final jobs in the order of their ends, as far as it is certain that none is between them."""
    text = tx.value("oldest_final", statuses=statuses, share=share)
    if text is None:
        return _Found([], is_all=True)
    lanes = _oldest(text)
    end = min((lane[-1] for lane in lanes if len(lane) == share), default=None)
    jobs = sorted(job for lane in lanes for job in lane if end is None or job <= end)
    return _Found(jobs, is_all=end is None)


def _delete(tx: Transaction, seqs: Sequence[int]) -> None:
    if seqs:
        tx.run("delete_failures", seqs=seqs)
        tx.run("forget_needs", seqs=seqs)
        tx.run("delete_tags", seqs=seqs)
        tx.run("delete_bodies", seqs=seqs)
        tx.run("delete_jobs", seqs=seqs)
        tx.lined = True
