"""The stores that schedulers are tried on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine.testing.clock import ManualClock
from tests.cases.stores import KINDS, make_store


@pytest.fixture(params=KINDS)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, ManualClock]]:
    """A store, and its clock."""
    store, clock = make_store(request.param, tmp_path)
    await store.open()
    yield store, clock
    await store.close()
