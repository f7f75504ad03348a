"""Limits by key: which pending jobs of each key may be claimed, and which are held back."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from aiojobs_engine.backends.sqlite.fairness import give_due_turns
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.envelope import Envelope
from aiojobs_engine.core.gates import Group, admitted
from aiojobs_engine.core.rates import RateState, taken

_LOOKS = 200
_MOST = 1_000

_states = msgspec.json.Decoder(list[tuple[str, RateState]]).decode


class _First(NamedTuple):
    """One of the first pending jobs of a line."""

    priority: int
    turn: int
    seq: int
    cost: int

    @property
    def order(self) -> tuple[int, int, int]:
        """What claims go by."""
        return -self.priority, self.turn, self.seq


class _Line(msgspec.Struct, array_like=True):
    """A row of `sql/due_lines.sql`."""

    line: str
    state: RateState
    running: int
    open: list[_First]
    held: list[_First]


_lines = msgspec.json.Decoder(list[_Line]).decode


def line_of(envelope: Envelope) -> str | None:
    """The column of a job under limits by key; neither queues nor types have a slash in their names."""
    return None if envelope.limit_key is None else f"{envelope.queue}/{envelope.type}/{envelope.limit_key}"


def started(tx: Transaction, envelopes: Iterable[Envelope]) -> None:
    """Take from the rates of keys what was claimed."""
    costs: dict[str, list[int]] = {}
    for envelope in envelopes:
        line = line_of(envelope)
        limit = None if line is None else tx.lanes.limits.get(_group(line))
        if line is not None and limit is not None and limit.rate is not None:
            costs.setdefault(line, []).append(envelope.cost)
    if not costs:
        return
    states = dict(_states(tx.value("line_states", lines=list(costs))))
    rows: list[tuple[str, RateState]] = []
    for line, each in costs.items():
        state, rate = states.get(line) or RateState(), tx.lanes.limits[_group(line)].rate
        for cost in each:
            state = state if rate is None else taken(rate, state, cost, tx.now)
        rows.append((line, state))
    tx.run("set_line_states", rows=rows)
    tx.lined = True


def look(tx: Transaction) -> None:
    """Let those jobs of the lines that are due be claimed that their limits allow now, and no others.

    Jobs that became pending without a fair turn get theirs.
    """
    limits = tx.lanes.limits
    tx.lined = False
    give_due_turns(tx)
    while True:
        version, found = tx.one("due_lines", now=tx.now, limit=_LOOKS, most=_MOST)
        if not tx.lanes.fresh(tx, version):
            limits = tx.lanes.limits
        lines = _lines(found)
        again: list[tuple[str, int | None]] = []
        gone: list[str] = []
        let: list[int] = []
        hold: list[int] = []
        for line in lines:
            first = sorted([*line.open, *line.held], key=lambda job: job.order)
            costs = [job.cost for job in first]
            count, again_at = admitted(limits.get(_group(line.line)), line.running, line.state, costs, tx.now)
            chosen = {job.seq for job in first[:count]}
            let += [job.seq for job in line.held if job.seq in chosen]
            hold += [job.seq for job in line.open if job.seq not in chosen]
            has_more = len(line.held) == _MOST and count == len(first)
            if first or line.running or again_at is not None:
                again.append((line.line, 0 if has_more else again_at))
            else:
                gone.append(line.line)
        if let or hold:
            tx.run("set_held", seqs=[*let, *hold], held=hold)
            tx.woke |= bool(let)
        if again:
            tx.run("set_lines", rows=again)
        if gone:
            tx.run("delete_lines", lines=gone)
        if len(lines) < _LOOKS and not any(at == 0 for _, at in again):
            return


def _group(line: str) -> Group:
    queue, name, _ = line.split("/", 2)
    return Group(queue, name, by_key=True)
