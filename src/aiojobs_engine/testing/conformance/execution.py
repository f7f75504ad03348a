"""The log of executions: bounded, found by job, type and cron entry."""

from typing import Any

import msgspec

from aiojobs_engine.core.instant import Instant
from aiojobs_engine.ports.executions import ExecutionEntry, ExecutionFilter
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

_DAY = 86_400.0
_MANY = 1_200


def _entry(stage: Stage, number: int, **fields: Any) -> ExecutionEntry:
    at = Instant(stage.clock.now() + number)
    given: dict[str, Any] = {"job_id": f"j{number}", "token": 1, "type": "work", "cron": None, "ended_at": at}
    given["record"] = msgspec.json.encode(
        {"number": number, "text": 'a "quoted" ü\u2028 \\ text', "none": None}
    )
    return ExecutionEntry(**{**given, **fields})


async def _numbers(stage: Stage, limit: int = 10_000, **which: Any) -> list[int]:
    found = await stage.backend.executions(ExecutionFilter(**which), limit)
    return [msgspec.json.decode(record)["number"] for record in found]


class ExecutionContract(Contract):
    """`ExecutionStore`."""

    async def test_runs_are_found_by_job_type_and_cron_entry_newest_first(self, stage: Stage) -> None:
        entries = [
            _entry(stage, 0, job_id="a", token=1),
            _entry(stage, 1, job_id="a", token=2),
            _entry(stage, 2, job_id="cron:nightly:1", cron="nightly", type="report"),
            _entry(stage, 3, job_id="cron:nightly:2", cron="nightly"),
            _entry(stage, 4, job_id="ab", type="report"),
        ]
        await stage.backend.add_executions(entries[:2], 100, _DAY)
        await stage.backend.add_executions(entries[2:], 100, _DAY)

        assert await _numbers(stage) == [4, 3, 2, 1, 0]
        assert await _numbers(stage, job_id="a") == [1, 0]
        assert await _numbers(stage, type="report") == [4, 2]
        assert await _numbers(stage, cron="nightly") == [3, 2]
        assert await _numbers(stage, cron="nightly", type="report") == [2]
        assert await _numbers(stage, job_id="a", type="report") == []
        assert await _numbers(stage, job_id="ab", cron="nightly") == []
        assert await _numbers(stage, 2) == [4, 3]
        assert await _numbers(stage, 0) == []
        assert await _numbers(stage, job_id="nobody") == []

    async def test_records_come_back_as_they_were(self, stage: Stage) -> None:
        entry = _entry(stage, 1)
        await stage.backend.add_executions([entry], 100, _DAY)

        (found,) = await stage.backend.executions(ExecutionFilter(), 1)

        assert msgspec.json.decode(found) == msgspec.json.decode(entry.record)

    async def test_a_repeated_write_changes_nothing(self, stage: Stage) -> None:
        entries = [_entry(stage, number) for number in range(3)]
        await stage.backend.add_executions(entries, 100, _DAY)
        await stage.backend.add_executions([*entries, _entry(stage, 3), _entry(stage, 3)], 100, _DAY)

        assert await _numbers(stage) == [3, 2, 1, 0]

    async def test_a_job_that_was_stored_anew_has_runs_of_its_own(self, stage: Stage) -> None:
        await stage.backend.add_executions([_entry(stage, 1, job_id="a")], 100, _DAY)
        await stage.backend.add_executions([_entry(stage, 2, job_id="a")], 100, _DAY)

        assert await _numbers(stage, job_id="a") == [2, 1]

    async def test_the_oldest_give_way(self, stage: Stage) -> None:
        for first in range(0, 100, 10):
            entries = [_entry(stage, number, cron="c") for number in range(first, first + 10)]
            await stage.backend.add_executions(entries, 5, _DAY)
        await stage.backend.add_executions([_entry(stage, 100)], 5, _DAY)

        assert await _numbers(stage) == [100, 99, 98, 97, 96]
        assert await _numbers(stage, cron="c") == [99, 98, 97, 96]
        assert await _numbers(stage, job_id="j0") == []
        assert await _numbers(stage, type="work") == [100, 99, 98, 97, 96]

    async def test_what_is_too_old_goes_with_the_next_write(self, stage: Stage) -> None:
        await stage.backend.add_executions([_entry(stage, 1)], 5, 100)
        await stage.clock.advance(101)
        await stage.backend.add_executions([_entry(stage, 2)], 5, 100)

        assert await _numbers(stage) == [2]

    async def test_many_at_once_are_found_whole(self, stage: Stage) -> None:
        entries = [_entry(stage, number) for number in range(_MANY)]
        await stage.backend.add_executions(entries, 10_000, _DAY)

        assert await _numbers(stage, type="work") == list(reversed(range(_MANY)))
        assert await _numbers(stage, 700) == list(reversed(range(_MANY)))[:700]

    async def test_runs_outlive_their_jobs(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.backend.add_executions([_entry(stage, 1, job_id="a")], 100, _DAY)
        await stage.backend.delete(["a"])

        assert await _numbers(stage, job_id="a") == [1]

    async def test_no_runs_are_no_write(self, stage: Stage) -> None:
        await stage.backend.add_executions([], 100, _DAY)

        assert await _numbers(stage) == []
