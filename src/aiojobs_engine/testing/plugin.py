"""The pytest plugin: it offers `TestEngine` as the fixture `aiojobs`, under any async plugin."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from aiojobs_engine.testing.engine import TestEngine


@pytest.fixture
def aiojobs() -> "type[TestEngine]":
    """The class `TestEngine`, which swaps in memory and a virtual clock."""
    from aiojobs_engine.testing.engine import TestEngine  # noqa: PLC0415 - only when a test asks

    return TestEngine
