"""Counts of statements and transactions, which no noise can hide."""

import asyncio

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend
from aiojobs_engine.backends.sqlite.writer import Work
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.sqlite.gate import Gate, start


def _since(before: Work, now: Work) -> tuple[int, int]:
    return now.transactions - before.transactions, now.statements - before.statements


def _copy(work: Work) -> Work:
    return Work(work.transactions, work.statements, work.operations, work.reads)


async def test_a_thousand_jobs_in_batches_of_a_hundred(store: SqliteBackend, stage: Stage) -> None:
    await stage.put("first")
    await stage.settle(await stage.take_one(), Status.COMPLETED)
    jobs = [stage.envelope(f"j{number}") for number in range(1_000)]

    at_start = _copy(store.work)
    for first in range(0, 1_000, 100):
        await store.enqueue(jobs[first : first + 100])
    enqueued = _copy(store.work)
    claims = [await stage.take(100) for _ in range(10)]
    claimed = _copy(store.work)
    for batch in claims:
        settled = [stage.settlement(claim, Status.COMPLETED, result=b"1") for claim in batch]
        assert all(await store.settle(settled))
    done = _copy(store.work)

    assert _since(at_start, enqueued) == (10, 10 * 3)
    assert _since(enqueued, claimed) == (10, 10 * 4)
    assert _since(claimed, done) == (10, 10 * 3)


@pytest.mark.parametrize("cursor", [None, b"5"], ids=["plain", "with a checkpoint"])
async def test_a_batch_that_goes_back_to_the_queue_takes_few_statements_too(
    store: SqliteBackend, stage: Stage, cursor: bytes | None
) -> None:
    await stage.put(*[f"j{number}" for number in range(100)])
    claims = await stage.take(100)
    before = _copy(store.work)

    settled = [
        stage.settlement(claim, Status.RETRYING, due_at=stage.after(60), cursor=cursor) for claim in claims
    ]
    assert all(await store.settle(settled))

    assert _since(before, store.work) == (1, 3)


async def test_ends_of_all_kinds_in_one_batch_are_each_what_they_say(
    store: SqliteBackend, stage: Stage
) -> None:
    await stage.put("none", "result", "failed", "counted", "later", "released")
    none, result, failed, counted, later, released = await stage.take(6)
    before = _copy(store.work)

    answers = await store.settle(
        [
            stage.settlement(none, Status.COMPLETED),
            stage.settlement(result, Status.COMPLETED, result=b'"ok"'),
            stage.settlement(failed, Status.FAILED, error=ErrorInfo("E", "no", reason="max_attempts")),
            stage.settlement(counted, Status.COMPLETED, counters=Counters(1, 2, 0, 3), message="done"),
            stage.settlement(later, Status.RETRYING, due_at=stage.after(5), error=ErrorInfo("E", "once")),
            stage.settlement(released, Status.PENDING),
        ]
    )

    assert answers == [True] * 6
    assert _since(before, store.work) == (1, 5)
    jobs = {job.id: job for job in await stage.all_jobs()}
    assert [jobs[name].status for name in ("none", "result", "failed", "counted", "later", "released")] == [
        Status.COMPLETED,
        Status.COMPLETED,
        Status.FAILED,
        Status.COMPLETED,
        Status.RETRYING,
        Status.PENDING,
    ]
    assert (jobs["none"].result, jobs["result"].result) == (None, "ok")
    assert jobs["failed"].error == ErrorInfo("E", "no", reason="max_attempts")
    assert (jobs["counted"].processed, jobs["counted"].message) == (3, "done")
    assert jobs["later"].error == ErrorInfo("E", "once")


async def test_calls_that_come_together_share_a_transaction(
    store: SqliteBackend, stage: Stage, gate: Gate
) -> None:
    gate.close("BEGIN")
    first = start(store.leave("nobody"))
    await gate.reached()
    before = _copy(store.work)
    calls = [start(stage.put(f"j{number}")) for number in range(100)]
    await stage.clock.rest()
    gate.open()
    await asyncio.gather(first, *calls)

    assert store.work.operations - before.operations == 101
    assert store.work.transactions - before.transactions == 2
