"""The chaos that the benchmarks unleash is judged by code that lies among them."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.case_processes import Scene, opened

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as scene:
        yield scene
