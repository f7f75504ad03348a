"""Rows that failed, kept with the bulk job that they belong to."""

from collections.abc import Sequence

import msgspec

from aiojobs_engine.backends.sqlite.transaction import Transaction
from aiojobs_engine.core.status import RowFault

_encode = msgspec.json.Encoder().encode


def add_failures(tx: Transaction, job: int, faults: Sequence[RowFault]) -> None:
    """Keep rows that failed; one that is there already gets one more entry in its history."""
    rows = [
        (fault.row_number, fault.row_key, _encode(fault.payload).decode(), fault.field, fault.message)
        for fault in faults
    ]
    tx.run("add_failures", job=job, rows=rows, now=tx.now)


def resolve_failures(tx: Transaction, job: int, row_numbers: Sequence[int]) -> int:
    """Mark failures as resolved; how many were not before."""
    return tx.run("resolve_failures", job=job, rows=row_numbers, now=tx.now) if row_numbers else 0
