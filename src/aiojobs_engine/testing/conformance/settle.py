"""Settling: every way out of a run that the table knows, once."""

import pytest

from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.state import FINAL, TRANSITIONS, Status, Trigger
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import EVENT_OF, Stage

EXITS = sorted((trigger, end) for (start, trigger), end in TRANSITIONS.items() if start is Status.PROCESSING)
STATUSES = sorted({end for _, end in EXITS})
BACK = sorted({end for _, end in EXITS} - FINAL - {Status.WAITING})
ERROR = ErrorInfo(type="ValueError", message='it\'s "so"\n☃', traceback="line 1", reason="max_attempts")

each_exit = pytest.mark.parametrize("trigger, status", EXITS, ids=str)
each_way_back = pytest.mark.parametrize("status", BACK, ids=str)


class SettleContract(Contract):
    """`Backend.settle` for jobs that have no kin; the cases come from the table."""

    @each_exit
    async def test_a_run_ends_where_the_table_says(
        self, stage: Stage, trigger: Trigger, status: Status
    ) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(2)

        assert await stage.settle(claim, status, attempts=4, crashes=3, message="done", error=ERROR)

        job = await stage.status("a")
        end = Status.COMPLETED if trigger is Trigger.SPAWN else status
        assert (job.status, job.attempts, job.crashes) == (end, 4, 3)
        assert (job.message, job.error, job.worker) == ("done", ERROR, None)
        assert job.finished_at == (moment(stage.clock.now()) if end in FINAL else None)
        assert job.started_at == moment(claim.started_at)

    @each_exit
    async def test_the_end_of_a_run_is_told_as_it_was_given(
        self, stage: Stage, trigger: Trigger, status: Status
    ) -> None:
        claim = await stage.start("a", user_id="u1")
        settlement = stage.settlement(claim, status)

        await stage.backend.settle([settlement])

        told = await stage.events()
        expected = ["JobCreated", "JobStarted", EVENT_OF[status].__name__]
        assert [type(event).__name__ for event in told[:3]] == expected
        assert _without_id(told[2]) == _without_id(settlement.event)
        assert len(told) == (4 if trigger is Trigger.SPAWN else 3)

    async def test_the_next_run_is_told_the_trace_of_the_one_that_failed(self, stage: Stage) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        first = await stage.start("a", total=3)
        assert first.failed_trace is None
        await stage.settle(first, Status.PENDING, attempts=1, error=ErrorInfo("E", "m", trace=trace))
        (second,) = await stage.take()
        counters = second.counters
        await stage.settle(second, Status.PENDING, attempts=2)
        (third,) = await stage.take()

        assert (second.failed_trace, third.failed_trace) == (trace, None)
        assert counters == first.counters

    @each_exit
    async def test_a_settled_run_holds_no_lease(self, stage: Stage, trigger: Trigger, status: Status) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, status)
        await stage.clock.advance(3600)

        assert [answer.held for answer in await stage.backend.extend([claim.lease], 60)] == [False]
        assert await stage.backend.rescue("w2", 10, 60) == [], trigger

    @each_exit
    async def test_a_stale_settlement_changes_nothing(
        self, stage: Stage, trigger: Trigger, status: Status
    ) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(30)
        await stage.backend.rescue("w2", 10, 30)
        before = await stage.picture()

        assert not await stage.settle(claim, status, attempts=9, result=b"1", error=ERROR), trigger

        assert await stage.picture() == before

    @each_exit
    async def test_a_repeated_settlement_is_welcome_and_changes_nothing(
        self, stage: Stage, trigger: Trigger, status: Status
    ) -> None:
        claim = await stage.start("a")
        settlement = stage.settlement(claim, status, due_at=stage.after(5), counters=Counters(3, 0, 0, 3))
        await stage.backend.settle([settlement])
        before = await stage.picture()
        await stage.clock.advance(1)

        assert await stage.backend.settle([settlement, settlement]) == [True, True], trigger

        assert await stage.picture() == before

    async def test_a_settlement_twice_in_a_batch_counts_once(self, stage: Stage) -> None:
        settlement = stage.settlement(await stage.start("a"), Status.COMPLETED)

        assert await stage.backend.settle([settlement, settlement]) == [True, True]

        assert await stage.told("a") == ["JobCreated", "JobStarted", "JobCompleted"]

    async def test_a_repeat_that_comes_when_the_job_went_on_changes_nothing(self, stage: Stage) -> None:
        settlement = stage.settlement(await stage.start("a"), Status.FAILED, error=ERROR)
        await stage.backend.settle([settlement])
        await stage.backend.retry(["a"])

        assert await stage.backend.settle([settlement]) == [True]

        job = await stage.status("a")
        assert (job.status, job.error, job.epoch) == (Status.PENDING, None, 1)

    async def test_settlements_are_answered_in_their_order(self, stage: Stage) -> None:
        names = [f"job-{number}" for number in range(250)]
        await stage.put(*names)
        claims = await stage.take(250)
        batch = [
            stage.settlement(claim, Status.COMPLETED if number % 2 else Status.RETRYING)
            for number, claim in enumerate(claims)
        ]

        assert await stage.backend.settle(batch) == [True] * 250

        ends = [type(event).__name__ for event in (await stage.events())[-250:]]
        assert ends == ["JobRetrying", "JobCompleted"] * 125
        assert await stage.backend.counts() == {
            ("default", Status.COMPLETED): 125,
            ("default", Status.RETRYING): 125,
        }

    async def test_settling_nothing_changes_nothing(self, stage: Stage) -> None:
        assert await stage.backend.settle([]) == await stage.backend.record([]) == []
        assert await stage.backend.extend([], 60) == []

    @pytest.mark.parametrize("status", [Status.RETRYING, Status.SCHEDULED], ids=str)
    async def test_a_job_for_later_waits_until_it_is_due(self, stage: Stage, status: Status) -> None:
        claim = await stage.start("a")

        await stage.settle(claim, status, due_at=stage.after(10))

        assert (await stage.status("a")).scheduled_at == moment(stage.after(10))
        await stage.clock.advance(9.999)
        assert (await stage.backend.promote(10)).count == 0
        await stage.clock.advance(0.001)
        assert (await stage.backend.promote(10)).count == 1
        assert await stage.is_at("a") == [Status.PENDING]

    async def test_a_retry_without_an_instant_is_due_at_once(self, stage: Stage) -> None:
        claim = await stage.start("a")

        await stage.settle(claim, Status.RETRYING)

        assert (await stage.backend.promote(10)).count == 1

    @each_way_back
    async def test_going_back_drops_what_no_checkpoint_kept(self, stage: Stage, status: Status) -> None:
        claim = await stage.start("a", total=5)
        await stage.record(claim, counters=Counters(2, 1, 1, 20))

        await stage.settle(claim, status, counters=Counters(3, 1, 1, 20))

        job = await stage.status("a")
        assert (job.succeeded, job.failed, job.skipped, job.total) == (0, 0, 0, 20)

    @each_way_back
    async def test_going_back_keeps_what_a_checkpoint_kept(self, stage: Stage, status: Status) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(2, 1, 1, 20), cursor=b"{}")

        await stage.settle(claim, status, counters=Counters(9, 1, 1, 30))

        job = await stage.status("a")
        assert (job.succeeded, job.failed, job.skipped, job.total) == (2, 1, 1, 30)

    async def test_a_settlement_can_bring_the_checkpoint_itself(self, stage: Stage) -> None:
        claim = await stage.start("a")

        await stage.settle(claim, Status.PENDING, counters=Counters(4, 0, 0, 9), cursor=b"4")

        again = await stage.take_one()
        assert (again.counters, again.cursor) == (Counters(4, 0, 0, 9), b"4")

    async def test_an_empty_cursor_drops_the_checkpoint(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(4, 0, 0, 9), cursor=b"4")

        await stage.settle(claim, Status.RETRYING, cursor=b"")

        await stage.backend.promote(10)
        again = await stage.take_one()
        assert (again.counters, again.cursor) == (Counters(0, 0, 0, 9), None)

    async def test_the_total_is_never_less_than_what_a_checkpoint_kept(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(8, 1, 0, 10), cursor=b"9")
        await stage.record(claim, counters=Counters(1, 0, 0, 2))

        await stage.settle(claim, Status.PENDING)

        job = await stage.status("a")
        assert (job.processed, job.total) == (9, 9)

    async def test_a_final_job_keeps_its_counters(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(8, 1, 2, 10))

        await stage.settle(claim, Status.FAILED)

        job = await stage.status("a")
        assert (job.succeeded, job.failed, job.skipped, job.total) == (8, 1, 2, 10)

    async def test_message_stays_and_error_goes_when_nothing_is_said_of_them(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, Status.RETRYING, message="half", error=ERROR)
        await stage.backend.promote(10)

        await stage.settle(await stage.take_one(), Status.COMPLETED)

        job = await stage.status("a")
        assert (job.message, job.error) == ("half", None)

    async def test_a_result_is_kept_until_its_time_is_over(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.settle(
            claim, Status.COMPLETED, result=b'{"x":[1,"\xc3\xa9"]}', result_until=stage.after(10)
        )

        await stage.clock.advance(9.999)
        (kept,) = await stage.backend.results(["a"])
        assert kept is not None
        assert (kept.result, kept.expired) == (b'{"x":[1,"\xc3\xa9"]}', False)
        assert (await stage.status("a")).result == {"x": [1, "é"]}
        await stage.clock.advance(0.001)
        (gone,) = await stage.backend.results(["a"])
        assert gone is not None
        assert (gone.result, gone.expired, gone.status) == (None, True, Status.COMPLETED)
        assert (await stage.status("a")).result is None

    async def test_a_result_without_an_end_stays(self, stage: Stage) -> None:
        await stage.settle(await stage.start("a"), Status.COMPLETED, result=b"null")
        await stage.clock.advance(10**8)

        (kept,) = await stage.backend.results(["a"])

        assert kept is not None
        assert (kept.result, kept.expired) == (b"null", False)

    async def test_a_job_without_a_result_has_none_that_could_expire(self, stage: Stage) -> None:
        await stage.settle(await stage.start("a"), Status.COMPLETED, result_until=stage.after(1))
        await stage.clock.advance(2)

        (answer,) = await stage.backend.results(["a"])

        assert answer is not None
        assert (answer.result, answer.expired) == (None, False)

    async def test_failed_rows_of_a_job_without_parent_are_its_own(self, stage: Stage) -> None:
        claim = await stage.start("a", total=3)
        faults = (RowFault(3, None, {"n": "x"}, "n", "no"), RowFault(1, "k1", {}, None, "bad"))

        await stage.settle(claim, Status.PARTIAL, counters=Counters(1, 2, 0, 3), faults=faults)

        failures = await stage.failures("a")
        assert [(one.row_number, one.row_key, one.message) for one in failures] == [
            (1, "k1", "bad"),
            (3, None, "no"),
        ]
        assert {one.job_id for one in failures} == {"a"}

    @each_way_back
    async def test_a_cancel_that_the_run_did_not_heed_is_carried_out(
        self, stage: Stage, status: Status
    ) -> None:
        claim = await stage.start("a")
        await stage.backend.cancel(["a"])

        assert await stage.settle(claim, status, due_at=stage.after(60))

        assert await stage.is_at("a") == [Status.CANCELLED]
        assert (await stage.told("a"))[-2:] == [EVENT_OF[status].__name__, "JobCancelled"]

    @each_way_back
    async def test_a_pause_that_the_run_did_not_heed_is_carried_out(
        self, stage: Stage, status: Status
    ) -> None:
        claim = await stage.start("a")
        await stage.backend.pause(["a"])

        assert await stage.settle(claim, status, due_at=stage.after(60))

        assert await stage.is_at("a") == [Status.PAUSED]
        told = await stage.told("a")
        assert told[-1] == "JobInterrupted"
        assert len(told) == (3 if status is Status.PAUSED else 4)

    async def test_a_cancel_outdoes_a_pause(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.backend.pause(["a"])
        await stage.backend.cancel(["a"])

        await stage.settle(claim, Status.PAUSED)

        assert await stage.is_at("a") == [Status.CANCELLED]

    @pytest.mark.parametrize("status", sorted(FINAL & set(STATUSES)), ids=str)
    async def test_a_final_status_wins_over_a_request(self, stage: Stage, status: Status) -> None:
        claim = await stage.start("a")
        await stage.backend.pause(["a"])
        await stage.backend.cancel(["a"])

        await stage.settle(claim, status)

        assert await stage.is_at("a") == [status]
        assert len(await stage.told("a")) == 3

    async def test_a_pause_can_be_taken_back_before_the_run_heeds_it(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.backend.pause(["a"])
        before = await stage.told("a")

        assert await stage.backend.resume(["a", "a"]) == [True, False]

        (answer,) = await stage.backend.extend([claim.lease], 30)
        assert (answer.held, answer.pausing) == (True, False)
        assert await stage.told("a") == before
        assert await stage.is_at("a") == [Status.PROCESSING]
        await stage.settle(claim, Status.PENDING)
        assert await stage.is_at("a") == [Status.PENDING]

    async def test_a_request_does_not_outlive_its_run(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.backend.pause(["a"])
        await stage.settle(claim, Status.PENDING)
        await stage.backend.resume(["a"])

        again = await stage.take_one()

        (answer,) = await stage.backend.extend([again.lease], 30)
        assert (answer.held, answer.cancelling, answer.pausing) == (True, False, False)
        assert await stage.settle(again, Status.PENDING)
        assert await stage.is_at("a") == [Status.PENDING]


def _without_id(event: object) -> object:
    return {name: value for name, value in _fields(event) if name != "event_id"}


def _fields(event: object) -> list[tuple[str, object]]:
    names: tuple[str, ...] = getattr(event, "__struct_fields__", ())
    return [("class", type(event)), *[(name, getattr(event, name)) for name in names]]
