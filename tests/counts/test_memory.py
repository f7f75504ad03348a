"""What a worker keeps of jobs that have ended: nothing that grows with their number."""

import tracemalloc

from aiojobs_engine.runtime.deadlines import Deadlines
from aiojobs_engine.runtime.run import Run
from aiojobs_engine.testing.clock import ManualClock
from tests.unit.runs import run

MOMENTS = 100
RUNS = 1_000


def _never(run: Run) -> None:
    raise AssertionError(run)


async def test_deadlines_of_runs_that_ended_keep_no_room_until_they_are_due() -> None:
    deadlines = Deadlines(ManualClock(), 2.0, _never)
    runs = [run(str(number)) for number in range(RUNS)]

    tracemalloc.start()
    for moment in range(MOMENTS):
        for each in runs:
            deadlines.add(each, 300 + moment / 100)
        for each in runs:
            deadlines.discard(each)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept / MOMENTS < 1_000  # a set that has held 1,000 runs takes 32 KB
    deadlines.close()
