"""Fair turns: given when jobs become pending, and taken by claims."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.fairness import SPAN, turns

_BATCH = 1_000

_Queue = tuple[str, int]


class _Share(NamedTuple):
    """A job that waits for its turn."""

    seq: int
    queue: _Queue
    key: str
    weight: float


_clocks = msgspec.json.Decoder(list[tuple[str, int, int]]).decode
_ends = msgspec.json.Decoder(list[tuple[str, int, str, int]]).decode
_untaken = msgspec.json.Decoder(list[tuple[int, int, int, tuple[str, float]]]).decode
_turns = msgspec.json.Decoder(list[tuple[int, int | None]]).decode


def _given(tx: Transaction, jobs: Sequence[_Share]) -> list[tuple[int, int]]:
    """The numbers of jobs with their turns, in order."""
    queues = list(dict.fromkeys(job.queue for job in jobs))
    clocks = {
        (queue, priority): clock for queue, priority, clock in _clocks(tx.value("turn_clocks", queues=queues))
    }
    new = {job.queue: SPAN * (job.seq - 1) for job in reversed(jobs) if job.queue not in clocks}
    if new:
        tx.run("set_turn_clocks", rows=[(*queue, clock) for queue, clock in new.items()])
        clocks |= new
    keys = list(dict.fromkeys((*job.queue, job.key) for job in jobs))
    ends: dict[_Queue, dict[str, int]] = {queue: {} for queue in queues}
    for name, priority, key, end in _ends(tx.value("turn_ends", keys=keys)):
        ends[name, priority][key] = end
    given = [
        (job.seq, turn)
        for job in jobs
        for turn in turns(clocks[job.queue], ends[job.queue], [(job.key, job.weight)])
    ]
    tx.run("set_turn_ends", rows=[(*queue, key, end) for queue in queues for key, end in ends[queue].items()])
    return given


def give_due_turns(tx: Transaction) -> None:
    """Give the jobs that became pending just now their turns."""
    while True:
        found = _untaken(tx.value("untaken", limit=_BATCH))
        if not found:
            return
        shares = [
            _Share(seq, (tx.lane(lane).queue, priority), key, weight)
            for seq, lane, priority, (key, weight) in found
        ]
        tx.run("set_turns", rows=_given(tx, shares))


def take_turns(tx: Transaction, jobs: Iterable[tuple[int, Envelope]]) -> None:
    """Move the clocks to the turns of jobs that were claimed."""
    fair = {
        seq: (envelope.queue, envelope.priority) for seq, envelope in jobs if envelope.fair_key is not None
    }
    if not fair:
        return
    clocks: dict[_Queue, int] = {}
    for seq, turn in _turns(tx.value("turns", seqs=list(fair))):
        clocks[fair[seq]] = max(clocks.get(fair[seq], 0), turn or 0)
    tx.run("set_turn_clocks", rows=[(*queue, clock) for queue, clock in clocks.items()])
