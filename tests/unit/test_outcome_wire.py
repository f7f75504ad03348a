"""Outcomes that travel from a process of a job's own to the finalizer come back as they were."""

from typing import Any

import msgspec
import pytest

from aiojobs_engine import ImportReport, JobRegistry
from aiojobs_engine.bulk.sources.opening import Found
from aiojobs_engine.core.outcome import (
    Cancelled,
    Interrupted,
    Outcome,
    Paused,
    RowsDone,
    RowsKept,
    Spawned,
)
from aiojobs_engine.core.status import Counters, RowFault
from aiojobs_engine.isolation.wire import answer_of, decode_message, encode_message, outcome_of


class User(msgspec.Struct):
    email: str


def importer() -> Any:
    @JobRegistry().importer("users", row=User)
    async def import_users(rows: list[User]) -> None: ...

    return import_users


FAULT = RowFault(3, "a@b", {"email": "a@b"}, "email", "no")
KEPT = RowsKept(counters=Counters(2, 1, 1, 9), faults=(FAULT,), cursor=b'{"done_to":3}')
REPORT = ImportReport(source=Found(format="csv", delimiter=";", columns=("email",)), duplicates=1, earlier=2)
OUTCOMES = [
    Spawned(REPORT),
    Spawned(),
    RowsDone(succeeded=2, skipped=1, before=Counters(1), faults=(FAULT,), resolved=(1, 2), result=REPORT),
    Cancelled(KEPT),
    Paused(KEPT),
    Interrupted(KEPT),
    Interrupted(),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: type(outcome).__name__)
def test_an_outcome_comes_back_as_it_was(outcome: Outcome) -> None:
    users = importer()
    message = encode_message(answer_of(outcome, users, 1000))
    assert outcome_of(decode_message(message), users) == outcome
