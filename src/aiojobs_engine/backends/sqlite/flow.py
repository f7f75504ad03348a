"""Limits: stored, and as a claim meets them."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.base import Part
from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.gates import Gate, Group, Limit
from aiojobs_engine.core.rates import RateState, room
from aiojobs_engine.ports.flow import LimitRecord

_limits = msgspec.json.Decoder(list[Limit]).decode
_running = msgspec.json.Decoder(list[tuple[int, int]]).decode
_rates = msgspec.json.Decoder(list[tuple[str, str, RateState]]).decode
_encode = msgspec.json.Encoder().encode


class SqliteLimits(Part):
    """`FlowStore` of the SQLite store; what each verb means stands in the port."""

    async def set_limits(self, limits: Sequence[Limit]) -> None:
        """Store limits; an empty one removes that of its group and origin."""
        self._writing()
        if limits:
            await self._write(lambda tx: _set_limits(tx, limits))

    async def limits(self) -> list[LimitRecord]:
        """All limits as they stand."""
        return await self._peek(_records)


def gate(tx: Transaction) -> Gate | None:
    """What a claim may take now; None when nothing limits it."""
    limits = tx.lanes.limits
    if not any(not group.by_key for group in limits):
        return None
    rates = {Group(queue, kind): state for queue, kind, state in _rates(tx.value("rates"))}
    return Gate(limits, _count(tx), rates, tx.now)


def passed(tx: Transaction, gate: Gate) -> None:
    """Keep what a claim took from rates."""
    if gate.taken_from:
        rows = [(group.queue, group.type, gate.states[group]) for group in sorted(gate.taken_from)]
        tx.run("add_rates", rows=rows)


def _set_limits(tx: Transaction, limits: Sequence[Limit]) -> None:
    last = {(limit.group, limit.origin): limit for limit in limits}
    kept = [
        (*group, origin, _encode(limit).decode())
        for (group, origin), limit in last.items()
        if not limit.is_empty
    ]
    gone = [(*group, origin) for (group, origin), limit in last.items() if limit.is_empty]
    if gone:
        tx.run("delete_limits", rows=gone)
    if kept:
        tx.run("add_limits", rows=kept)
    if changed := [f"{group.queue}/{group.type}" for group, _ in last if group.by_key]:
        tx.run("hold_lines", prefixes=[(f"{name}/", f"{name}0") for name in dict.fromkeys(changed)])
        tx.lined = True
    tx.run("bump_lanes")
    tx.lanes.load(tx)
    tx.woke = True


def _records(tx: Transaction) -> list[LimitRecord]:
    limits = sorted(_limits(tx.value("limits")), key=lambda limit: (limit.group, limit.origin))
    by_desk = {limit.group for limit in limits if limit.origin == "desk"}
    tx.lanes.load(tx)
    running = _count(tx)
    rates = {Group(queue, kind): state for queue, kind, state in _rates(tx.value("rates"))}
    return [
        LimitRecord(
            limit=limit,
            in_force=limit.origin != "code" or limit.group not in by_desk,
            running=running.get(Group(limit.queue, limit.type), 0),
            room=None
            if limit.rate is None or limit.by_key
            else room(limit.rate, rates.get(limit.group) or RateState(), tx.now),
        )
        for limit in limits
    ]


def _count(tx: Transaction) -> dict[Group, int]:
    counts: dict[Group, int] = {}
    for number, count in _running(tx.value("running_lanes")):
        lane = tx.lane(number)
        for group in (Group(lane.queue), Group(lane.queue, lane.type)):
            counts[group] = counts.get(group, 0) + count
    return counts
