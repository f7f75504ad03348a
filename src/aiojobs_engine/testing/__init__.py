"""For tests: an engine in memory, a clock to move by hand, and the suite that every store passes."""

from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.dispatched import Dispatched
from aiojobs_engine.testing.engine import TestEngine

__all__ = ["Dispatched", "ManualClock", "TestEngine"]
