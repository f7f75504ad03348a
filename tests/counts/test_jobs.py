"""What a thousand jobs cost on SQLite, in counts that no noise can hide.

The bounds leave room for batches that form differently on a busy machine: about twice what is usual. A job
that took a statement or a task of its own more would be far beyond them.
"""

import asyncio
import threading

import pytest

from aiojobs_engine import Engine
from aiojobs_engine.backends.sqlite import SqliteBackend
from tests.counts.jobs import ATTEMPTS, echo, empty, fail, report
from tests.counts.meter import Calls, metered, work_off

JOBS = 1_000
FEW = 200


async def test_a_thousand_jobs_in_one_call_are_one_transaction(engine: Engine, store: SqliteBackend) -> None:
    with metered(store) as cost:
        await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))

    assert cost.transactions == 1
    assert cost.statements <= 8
    assert cost.tasks <= 2


async def test_a_thousand_callers_at_once_share_few_transactions(
    engine: Engine, store: SqliteBackend
) -> None:
    with metered(store) as cost:
        await asyncio.gather(*[engine.dispatch(empty, n=n) for n in range(JOBS)])

    assert cost.transactions <= 5
    assert cost.statements <= 40
    assert cost.tasks <= JOBS + 5  # gather makes one per call


async def test_dispatching_one_by_one_takes_a_transaction_each_and_no_task(
    engine: Engine, store: SqliteBackend
) -> None:
    with metered(store) as cost, Calls() as calls:
        for n in range(FEW):
            await engine.dispatch(empty, n=n)

    assert cost.transactions <= FEW + 1
    assert cost.tasks == 0
    assert calls.count <= 105 * FEW


@pytest.mark.parametrize("job_type", [empty, echo], ids=["without a result", "with a result"])
async def test_draining_takes_a_task_per_job_and_few_transactions(
    engine: Engine, store: SqliteBackend, job_type: object
) -> None:
    await engine.dispatch_many(job_type.job(n=n) for n in range(JOBS))  # type: ignore[attr-defined]

    with metered(store) as cost:
        await work_off(engine)

    assert cost.transactions <= 50
    assert cost.statements <= 220
    assert cost.tasks <= JOBS + 25


async def test_failing_takes_a_task_per_run_and_few_transactions(
    engine: Engine, store: SqliteBackend
) -> None:
    await engine.dispatch_many(fail.job(n=n) for n in range(JOBS))

    with metered(store) as cost:
        await work_off(engine)

    assert cost.transactions <= 200
    assert cost.statements <= 900
    assert cost.tasks <= JOBS * ATTEMPTS + 25


async def test_progress_is_written_four_times_a_second_and_not_each_time(
    engine: Engine, store: SqliteBackend
) -> None:
    await engine.dispatch_many(report.job(n=n) for n in range(10))

    with metered(store) as cost:
        await work_off(engine)

    assert cost.transactions <= 100
    assert cost.statements <= 500


async def test_jobs_take_no_threads(engine: Engine) -> None:
    before = threading.active_count()
    await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))

    await work_off(engine)

    assert threading.active_count() == before


async def test_a_dispatched_job_takes_few_calls_of_python_functions(engine: Engine) -> None:
    with Calls() as calls:
        await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))

    assert calls.count <= 30 * JOBS


async def test_a_drained_job_takes_few_calls_of_python_functions(engine: Engine) -> None:
    await engine.dispatch_many(empty.job(n=n) for n in range(JOBS))

    with Calls() as calls:
        await work_off(engine)

    assert calls.count <= 80 * JOBS
