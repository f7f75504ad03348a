"""What all themes of the suite stand on."""

from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.ports.backend import Store
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.laws import check_laws
from aiojobs_engine.testing.conformance.stage import Stage


class Contract:
    """A theme. Its heir offers two fixtures: `backend`, an open store, and the `clock` it was made with."""

    @pytest.fixture
    def stage(self, backend: Store, clock: ManualClock) -> Stage:
        """The store with hands."""
        return Stage(backend, clock)

    @pytest.fixture(autouse=True)
    async def laws(self, backend: Store, clock: ManualClock) -> AsyncIterator[None]:
        """Check after each case what always holds."""
        yield
        await check_laws(backend, clock)
