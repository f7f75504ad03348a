"""Settlements as `settle.lua` takes them: those that end alike together, all others one by one."""

from collections.abc import Sequence
from typing import Any

from aiojobs_engine.backends.redis.keys import CODES, PLACE
from aiojobs_engine.backends.redis.rows import encode, encoded_counters, encoded_fault
from aiojobs_engine.core.state import FINAL
from aiojobs_engine.ports.backend import Settlement

_Alike = tuple[int, int, int, int]


def encoded_settlements(settlements: Sequence[Settlement]) -> list[tuple[Any, ...]]:
    """The request; each run of settlements that end alike is one element of it."""
    request: list[tuple[Any, ...]] = []
    alike: list[Settlement] = []
    end: _Alike | None = None
    for each in settlements:
        own = _bare_end(each)
        if alike and (own is None or own != end):
            request.append(_group(alike))
            alike = []
        end = own
        if own is None:
            request.append(_encoded(each))
        else:
            alike.append(each)
    if alike:
        request.append(_group(alike))
    return request


def _bare_end(each: Settlement) -> _Alike | None:
    """What has to be written, when that is nothing but the status and the attempts."""
    is_bare = (
        each.result is None
        and each.error is None
        and each.counters is None
        and each.message is None
        and each.cursor is None
        and each.parent_id is None
        and not each.faults
        and each.resolved is None
        and each.due_at is None
        and each.status in FINAL
    )
    return (each.lease.token, CODES[each.status], each.attempts, each.crashes) if is_bare else None


def _group(alike: Sequence[Settlement]) -> tuple[Any, ...]:
    first = alike[0]
    events = [encode(each.event) for each in alike]
    return (
        [str(each.lease.ref & PLACE) for each in alike],
        first.lease.token,
        CODES[first.status],
        first.attempts,
        first.crashes,
        [len(event) for event in events],
        b",".join(events).decode(),
    )


def _encoded(settlement: Settlement) -> tuple[Any, ...]:
    lease, result, ends = settlement.lease, settlement.result, settlement.result_until
    return (
        str(lease.ref & PLACE),
        lease.token,
        CODES[settlement.status],
        settlement.attempts,
        settlement.crashes,
        encode(settlement.event).decode(),
        False if result is None else result.decode(),
        False if result is None or ends is None else ends,
        _rest(settlement) or False,
    )


def _rest(settlement: Settlement) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    if settlement.due_at is not None:
        rest["due"] = settlement.due_at
    if settlement.error is not None:
        rest["error"] = encode(settlement.error).decode()
    if settlement.counters is not None:
        rest["counters"] = encoded_counters(settlement.counters)
    if settlement.message is not None:
        rest["message"] = settlement.message
    if settlement.cursor is not None:
        rest["cursor"] = settlement.cursor.decode()
    if settlement.faults:
        rest["faults"] = [encoded_fault(fault) for fault in settlement.faults]
    if settlement.resolved is not None:
        rest["resolved"] = settlement.resolved
    return rest
