"""How often, when and with what the handler of an import is called again: as one policy says, and no more."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from aiojobs_engine import Engine, JobContext, Retry, Status
from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.masking import masker_of
from aiojobs_engine.core.options import resolve
from aiojobs_engine.core.outcome import Failed
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.runtime.settlement import Decider
from tests.bulk.conftest import WriteCsv, counts, work
from tests.bulk.test_deaths import claimed, planned

NOW = Instant(1_000_000)


class User(msgspec.Struct):
    email: str
    age: int


def failing(engine: Engine, attempts: list[int], retry: Retry) -> Any:
    @engine.importer("users", row=User, retry=retry)
    async def import_users(ctx: JobContext, rows: list[User]) -> None:
        attempts.append(ctx.attempt)
        raise LookupError

    return import_users


@pytest.mark.seed("DJ-111")
@pytest.mark.seed("DJ-112")
@pytest.mark.parametrize("most", [1, 3])
async def test_a_call_that_fails_runs_as_often_as_the_policy_says_and_once_row_by_row(
    engine: Engine, write_csv: WriteCsv, most: int
) -> None:
    attempts: list[int] = []
    users = failing(engine, attempts, Retry.fixed(most, delay=0))
    async with engine:
        handle = await engine.dispatch(users, write_csv(1))
        await work(engine)
        status = await handle.status()
        assert (status.status, status.attempts, counts(status)) == (Status.FAILED, most + 1, (0, 1, 0, 1))
    assert attempts == list(range(1, most + 2))


@pytest.mark.seed("DJ-116")
async def test_a_chunk_runs_again_when_its_policy_says(engine: Engine, write_csv: WriteCsv) -> None:
    users = failing(engine, [], Retry.fixed(2, delay=7))
    async with engine:
        await engine.dispatch(users, write_csv(11))
        await planned(engine)
        claim, _ = await claimed(engine)
    run = Run(claim, users, resolve("users", "import", users.decorated, Settings()), 0.0)
    settlement = Decider(Random(1), 1000, masker_of((), ())).decide(run, Failed(LookupError()), NOW)
    assert (settlement.status, settlement.due_at) == (Status.RETRYING, NOW + 7000)


@pytest.mark.seed("DJ-50")
async def test_what_is_wrapped_around_a_call_follows_it_when_it_fails_too(
    engine: Engine, write_csv: WriteCsv
) -> None:
    followed: list[tuple[str, bool]] = []

    @engine.middleware
    async def watch(ctx: JobContext, call_next: Callable[[], Awaitable[Any]]) -> Any:
        is_done = False
        try:
            result = await call_next()
            is_done = True
        finally:
            followed.append((ctx.type, is_done))
        return result

    @engine.importer("users", row=User, retry=Retry.none())
    async def import_users(rows: list[User]) -> None:
        assert all(isinstance(row, User) for row in rows)
        if len(rows) > 1:
            raise LookupError

    async with engine:
        handle = await engine.dispatch(import_users, write_csv(2))
        await work(engine)
        assert counts(await handle.status()) == (2, 0, 0, 2)
    assert followed == [("users", False), ("users", True), ("users", True)]


@pytest.mark.seed("DJ-57")
@pytest.mark.seed("DJ-58")
async def test_a_decorated_function_is_dispatched_and_gets_converted_rows(engine: Engine) -> None:
    class Place(msgspec.Struct):
        city: str

    class Trip(msgspec.Struct):
        length: timedelta
        price: float
        way: list[Place]

        def __post_init__(self) -> None:
            if self.price < 0:
                raise ValueError("a price is not negative")

    handled: list[Trip] = []

    @engine.importer("trips", row=Trip)
    async def import_trips(rows: list[Trip]) -> None:
        handled.extend(rows)

    way = [{"city": "Bonn"}, {"city": "Kiel"}]
    rows = [
        {"length": "PT90S", "price": "1.5", "way": way},
        {"length": "PT1S", "price": -1, "way": way},
        {"length": "PT1S", "price": 1, "way": [{"town": "Bonn"}]},
    ]
    async with engine:
        handle = await engine.dispatch(import_trips, rows)
        await work(engine)
        failures = [
            (failure.row_number, failure.message) async for failure in engine.failures.list(handle.id)
        ]
    assert handled == [Trip(timedelta(seconds=90), 1.5, [Place("Bonn"), Place("Kiel")])]
    assert [number for number, _ in failures] == [2, 3]
    assert "a price is not negative" in failures[0][1]
    assert "city" in failures[1][1]
