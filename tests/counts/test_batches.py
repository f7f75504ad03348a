"""What belonging to a batch costs, in counts: nothing grows with the number of members."""

from typing import Any

import pytest

from aiojobs_engine import Engine
from aiojobs_engine.backends.sqlite import SqliteBackend
from tests.counts.jobs import empty
from tests.counts.meter import metered, work_off

JOBS = 1_000


async def test_a_batch_is_stored_in_one_transaction(engine: Engine, store: SqliteBackend) -> None:
    batch = engine.batch(empty.job(n=n) for n in range(JOBS)).finally_(empty.job(n=JOBS))

    with metered(store) as cost:
        await engine.dispatch(batch)

    assert cost.transactions == 1
    assert cost.statements <= 30


@pytest.mark.parametrize("members", [JOBS, 3 * JOBS])
async def test_members_settle_in_few_statements(engine: Engine, store: SqliteBackend, members: int) -> None:
    handle = await engine.dispatch(
        engine.batch(empty.job(n=n) for n in range(members)).finally_(empty.job(n=members))
    )

    with metered(store) as cost:
        await work_off(engine)

    assert (await handle.status()).succeeded == members
    assert cost.transactions <= 50 * members / JOBS
    assert cost.statements <= 260 * members / JOBS


async def test_a_chain_costs_a_handful_of_statements_per_link(engine: Engine, store: SqliteBackend) -> None:
    chain: Any = empty.job(n=0)
    for number in range(1, 100):
        chain = chain | empty.job(n=number)
    await engine.dispatch(chain)

    with metered(store) as cost:
        await work_off(engine)

    assert cost.statements <= 30 * 100
