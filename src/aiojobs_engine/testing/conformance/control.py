"""Interventions: every verb on every status, as the table allows or forbids."""

import pytest

from aiojobs_engine.core.events import JobCancelled, JobInterrupted, JobRetrying
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.state import QUEUED, Status, Trigger, allowed
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import Cancelled, Promoted
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

each_status = pytest.mark.parametrize("status", list(Status), ids=str)
REOPENED = allowed(Trigger.SPAWN) - {Status.PROCESSING}


class ControlContract(Contract):
    """`Control` without prune."""

    @each_status
    async def test_a_cancel_takes_effect_where_the_table_allows_it(
        self, stage: Stage, status: Status
    ) -> None:
        await stage.bring("a", status)
        before = await stage.picture()
        is_legal = status in allowed(Trigger.CANCEL)

        answers = await stage.backend.cancel(["a"])

        assert answers == [Cancelled(status, done=is_legal or status is Status.CANCELLED)]
        if status in QUEUED or status is Status.WAITING:
            assert await stage.is_at("a") == [Status.CANCELLED]
        else:
            assert await stage.picture() == before

    @each_status
    async def test_a_pause_takes_effect_where_the_table_allows_it(self, stage: Stage, status: Status) -> None:
        await stage.bring("a", status)
        before = await stage.picture()
        is_legal = status in allowed(Trigger.PAUSE)

        assert await stage.backend.pause(["a"]) == [is_legal]

        if is_legal and status is not Status.PROCESSING:
            assert await stage.is_at("a") == [Status.PAUSED]
            assert isinstance((await stage.events())[-1], JobInterrupted)
        else:
            assert await stage.picture() == before

    @each_status
    async def test_a_resume_takes_effect_where_the_table_allows_it(
        self, stage: Stage, status: Status
    ) -> None:
        await stage.bring("a", status)
        before = await stage.picture()
        is_legal = status in allowed(Trigger.RESUME)

        assert await stage.backend.resume(["a"]) == [is_legal]

        if is_legal:
            event = (await stage.events())[-1]
            assert (type(event), event.status) == (JobInterrupted, Status.PENDING)
            assert (await stage.take_one()).envelope.id == "a"
        else:
            assert await stage.picture() == before

    @each_status
    async def test_a_retry_takes_effect_where_the_table_allows_it(self, stage: Stage, status: Status) -> None:
        await stage.bring("a", status)
        before = await stage.picture()
        is_legal = status in allowed(Trigger.RETRY)

        assert await stage.backend.retry(["a"]) == [is_legal]

        if is_legal:
            job = await stage.status("a")
            assert (job.status, job.epoch) == (Status.PENDING, 1)
        else:
            assert await stage.picture() == before

    @each_status
    async def test_a_reopening_takes_effect_where_the_table_allows_it(
        self, stage: Stage, status: Status
    ) -> None:
        await stage.bring("a", status)
        before = await stage.picture()

        assert await stage.backend.reopen("a", [stage.chunk("a", 9)]) is (status in REOPENED)

        if status in REOPENED:
            assert await stage.is_at("a", "a:9") == [Status.WAITING, Status.PENDING]
        else:
            assert await stage.picture() == before

    @each_status
    async def test_what_nobody_runs_can_be_deleted(self, stage: Stage, status: Status) -> None:
        await stage.bring("a", status)
        before = await stage.picture()
        is_legal = status is not Status.PROCESSING

        assert await stage.backend.delete(["a"]) == [is_legal]

        if is_legal:
            assert await stage.backend.get(["a", "a:1"]) == [None, None]
            assert await stage.backend.counts() == {}
        else:
            assert await stage.picture() == before

    async def test_unknown_jobs_are_told_as_such(self, stage: Stage) -> None:
        backend = stage.backend

        assert await backend.cancel(["x"]) == [Cancelled(None, done=False)]
        assert await backend.pause(["x"]) == await backend.resume(["x"]) == [False]
        assert await backend.retry(["x"]) == await backend.delete(["x"]) == [False]
        assert await backend.reopen("x", [stage.chunk("x", 1)]) is False
        assert await backend.get(["x:1"]) == [None]

    async def test_cancels_are_answered_in_their_order(self, stage: Stage) -> None:
        await stage.bring("done", Status.COMPLETED)
        await stage.bring("new", Status.PENDING)

        answers = await stage.backend.cancel(["done", "x", "new", "new"])

        assert answers == [
            Cancelled(Status.COMPLETED, done=False),
            Cancelled(None, done=False),
            Cancelled(Status.PENDING, done=True),
            Cancelled(Status.CANCELLED, done=True),
        ]
        assert await stage.told("new") == ["JobCreated", "JobCancelled"]

    async def test_a_cancelled_job_never_starts(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.clock.advance(1)

        await stage.backend.cancel(["a"])

        assert [claim.envelope.id for claim in await stage.take()] == ["b"]
        event = next(event for event in await stage.events() if isinstance(event, JobCancelled))
        assert (event.job_id, event.status, event.attempt) == ("a", Status.CANCELLED, 0)
        assert (await stage.status("a")).finished_at == moment(stage.clock.now()) == moment(event.at)

    async def test_a_cancelled_job_is_not_promoted(self, stage: Stage) -> None:
        await stage.bring("a", Status.RETRYING)
        await stage.backend.cancel(["a"])

        assert await stage.backend.promote(10) == Promoted(0, None)

    async def test_a_running_job_that_was_asked_to_end_may_still_complete(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.backend.cancel(["a"])

        assert await stage.settle(claim, Status.COMPLETED)

        assert await stage.is_at("a") == [Status.COMPLETED]

    async def test_a_paused_job_is_not_claimed(self, stage: Stage) -> None:
        await stage.bring("a", Status.PAUSED)

        assert await stage.take() == []

    async def test_a_resumed_job_is_due_at_once(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(60))
        await stage.backend.pause(["a"])

        await stage.backend.resume(["a"])

        assert await stage.is_at("a") == [Status.PENDING]

    async def test_a_retried_job_starts_anew(self, stage: Stage) -> None:
        claim = await stage.start("a", total=2, expires_at=stage.after(5))
        await stage.record(claim, counters=Counters(3, 1, 1, 9), cursor=b"4", message="bad")
        fault = RowFault(1, None, {}, None, "no")
        await stage.settle(
            claim,
            Status.FAILED,
            attempts=3,
            crashes=1,
            error=ErrorInfo("E", "m"),
            result=b"1",
            result_until=stage.after(9),
            faults=(fault,),
        )
        await stage.clock.advance(60)

        await stage.backend.retry(["a"])

        job = await stage.status("a")
        assert (job.status, job.attempts, job.crashes, job.epoch) == (Status.PENDING, 0, 0, 1)
        assert (job.processed, job.skipped, job.total) == (0, 0, 2)
        assert (job.error, job.message, job.result) == (None, None, None)
        assert (job.started_at, job.finished_at) == (None, None)
        assert job.scheduled_at == moment(stage.clock.now())
        assert await stage.failures("a") == []
        again = await stage.take_one()
        assert (again.lease.token, again.attempts, again.crashes, again.epoch) == (2, 0, 0, 1)
        assert (again.cursor, again.counters) == (None, Counters(total=2))
        (result,) = await stage.backend.results(["a"])
        assert result is not None
        assert result.expired is False

    async def test_a_retry_is_told(self, stage: Stage) -> None:
        await stage.bring("a", Status.FAILED)

        await stage.backend.retry(["a"])

        event = (await stage.events())[-1]
        assert isinstance(event, JobRetrying)
        assert (event.status, event.due_at, event.attempt) == (Status.PENDING, stage.clock.now(), 0)

    async def test_a_retried_job_keeps_its_place(self, stage: Stage) -> None:
        await stage.bring("a", Status.FAILED)
        await stage.put("b")

        await stage.backend.retry(["a"])

        assert [claim.envelope.id for claim in await stage.take()] == ["a", "b"]

    async def test_a_retried_job_does_not_expire_again(self, stage: Stage) -> None:
        await stage.bring("a", Status.EXPIRED)

        await stage.backend.retry(["a"])

        await stage.backend.promote(10)
        assert [claim.envelope.id for claim in await stage.take()] == ["a"]

    async def test_each_retry_raises_the_epoch(self, stage: Stage) -> None:
        await stage.bring("a", Status.FAILED)

        for epoch in (1, 2):
            await stage.backend.retry(["a"])
            claim = await stage.take_one()
            assert claim.epoch == epoch
            await stage.settle(claim, Status.DISCARDED)

        assert (await stage.status("a")).epoch == 2

    async def test_a_deleted_job_leaves_nothing_behind(self, stage: Stage) -> None:
        claim = await stage.start("a")
        fault = RowFault(1, None, {}, None, "no")
        await stage.settle(claim, Status.PARTIAL, faults=(fault,), result=b"1", result_until=stage.after(1))

        await stage.backend.delete(["a"])

        assert await stage.failures("a") == []
        assert await stage.all_jobs() == []
        assert await stage.backend.envelopes(["a"]) == [None]
        assert await stage.backend.results(["a"]) == [None]
        await stage.put("a")
        assert (await stage.status("a")).epoch == 0
        assert await stage.failures("a") == []

    async def test_an_intervention_twice_in_a_batch_counts_once(self, stage: Stage) -> None:
        await stage.bring("a", Status.FAILED)
        await stage.bring("b", Status.PENDING)

        assert await stage.backend.retry(["a", "a"]) == [True, False]
        assert await stage.backend.pause(["b", "b"]) == [True, False]
        assert await stage.backend.resume(["b", "b"]) == [True, False]
        assert await stage.backend.delete(["b", "b"]) == [True, False]

    async def test_empty_batches_change_nothing(self, stage: Stage) -> None:
        backend = stage.backend

        assert await backend.cancel([]) == []
        assert await backend.pause([]) == await backend.resume([]) == []
        assert await backend.retry([]) == await backend.delete([]) == []
        assert await backend.get([]) == []
        assert await backend.envelopes([]) == []
        assert await backend.results([]) == []
        assert await stage.events() == []

    async def test_pausing_and_resuming_a_queue_may_be_repeated(self, stage: Stage) -> None:
        await stage.put("a")

        for _ in range(2):
            await stage.backend.pause_queue("default")
        assert await stage.take() == []
        for _ in range(2):
            await stage.backend.resume_queue("default")

        assert len(await stage.take()) == 1

    async def test_running_jobs_of_a_paused_queue_go_on(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.backend.pause_queue("default")

        assert await stage.record(claim, message="on")
        assert await stage.settle(claim, Status.COMPLETED)
