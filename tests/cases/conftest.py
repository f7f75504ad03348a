from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine.core.config import Settings, WorkerSettings
from aiojobs_engine.engine import Engine
from tests.cases.invariants import check_store
from tests.cases.stores import KINDS, Case, make_store

# the settings of the list of cases: lease 2 s, rescue every 0.5 s, grace 5 s, 3 attempts, 5 crashes
CASE_WORKER: dict[str, Any] = {
    "concurrency": 10,
    "lease": 2.0,
    "rescue_interval": 0.5,
    "drain_timeout": 5.0,
    "cancel_timeout": 2.0,
    "max_crashes": 5,
}

MakeCase = Callable[..., Case]
MakeEngine = Callable[..., Engine]


@pytest.fixture(params=KINDS)
async def make_case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeCase]:
    """A world on either store, with the settings of the list of cases; `worker` settings may differ."""
    made: list[Case] = []

    def make(**worker: Any) -> Case:
        store, clock = make_store(request.param, tmp_path)
        settings = Settings(worker=WorkerSettings(**{**CASE_WORKER, **worker}))
        case = Case(settings=settings, store=store, clock=clock)
        made.append(case)
        return case

    yield make
    for case in made:
        await case.store.open()
        await check_store(case.store)
        await case.store.close()


@pytest.fixture(params=KINDS)
async def make_engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeEngine]:
    """An engine on either store and a clock that the test moves; what it stored is checked at the end."""
    stores: list[Any] = []

    def make(**config: Any) -> Engine:
        store, clock = make_store(request.param, tmp_path)
        stores.append(store)
        return Engine(backend=store, clock=clock, config={"worker": CASE_WORKER, **config})

    yield make
    for store in stores:
        await store.open()
        await check_store(store)
        await store.close()
