"""Recording: what a run tells while it goes on."""

from aiojobs_engine.core.events import JobProgressed
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Record
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class RecordContract(Contract):
    """`Backend.record`."""

    async def test_progress_shows_at_once(self, stage: Stage) -> None:
        claim = await stage.start("a")

        assert await stage.record(claim, counters=Counters(3, 1, 2, 8), message="halfway")

        job = await stage.status("a")
        assert (job.processed, job.succeeded, job.failed, job.skipped, job.total) == (4, 3, 1, 2, 8)
        assert (job.message, job.status) == ("halfway", Status.PROCESSING)

    async def test_what_is_not_said_stays(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(3, 0, 0, 8), message="halfway", cursor=b"3")

        await stage.record(claim, message="further")
        await stage.record(claim, counters=Counters(5, 0, 0, 8))

        job = await stage.status("a")
        assert (job.processed, job.message) == (5, "further")

    async def test_an_event_is_stored_with_it_or_none(self, stage: Stage) -> None:
        claim = await stage.start("a")
        event = stage.progressed(claim, Counters(3, 0, 0, 8), "halfway")

        await stage.record(claim, counters=Counters(2, 0, 0, 8))
        await stage.record(claim, counters=Counters(3, 0, 0, 8), event=event)

        assert await stage.told("a") == ["JobCreated", "JobStarted", "JobProgressed"]
        told = (await stage.events())[-1]
        assert isinstance(told, JobProgressed)
        assert (told.processed, told.total, told.message) == (3, 8, "halfway")

    async def test_a_batch_may_report_one_run_twice(self, stage: Stage) -> None:
        claim = await stage.start("a")

        answers = await stage.backend.record(
            [
                Record(lease=claim.lease, counters=Counters(1, 0, 0, 5)),
                Record(lease=claim.lease, counters=Counters(2, 0, 0, 5)),
            ]
        )

        assert answers == [True, True]
        assert (await stage.status("a")).processed == 2

    async def test_a_checkpoint_keeps_the_counters_that_came_before(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(3, 0, 0, 8))
        await stage.record(claim, cursor=b'{"at":3}')
        await stage.settle(claim, Status.PENDING)

        again = await stage.take_one()

        assert (again.cursor, again.counters) == (b'{"at":3}', Counters(3, 0, 0, 8))

    async def test_the_last_checkpoint_counts(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(3, 0, 0, 8), cursor=b"3")
        await stage.record(claim, counters=Counters(5, 1, 0, 8), cursor=b"6")
        await stage.settle(claim, Status.PENDING)

        again = await stage.take_one()

        assert (again.cursor, again.counters) == (b"6", Counters(5, 1, 0, 8))

    async def test_an_empty_cursor_drops_the_checkpoint_and_not_the_progress(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.record(claim, counters=Counters(3, 0, 0, 8), cursor=b"3")

        await stage.record(claim, cursor=b"")

        assert (await stage.status("a")).processed == 3
        await stage.settle(claim, Status.PENDING)
        again = await stage.take_one()
        assert (again.cursor, again.counters) == (None, Counters(0, 0, 0, 8))

    async def test_chunks_are_stored_and_enlarge_the_total(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk", total=1)

        await stage.record(claim, children=(stage.chunk("bulk", 1, 10), stage.chunk("bulk", 2, 5)))

        assert (await stage.status("bulk")).total == 16
        assert await stage.is_at("bulk:1", "bulk:2") == [Status.PENDING] * 2
        assert [(await stage.status(job)).total for job in ("bulk:1", "bulk:2")] == [10, 5]
        assert (await stage.status("bulk:1")).parent_id == "bulk"
        assert await stage.told("bulk:2") == ["JobCreated"]

    async def test_chunks_that_are_there_already_are_passed_over(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk")
        await stage.record(claim, children=(stage.chunk("bulk", 1, 10),))

        assert await stage.record(
            claim, children=(stage.chunk("bulk", 1, 10), stage.chunk("bulk", 2, 5), stage.chunk("bulk", 2, 5))
        )

        assert (await stage.status("bulk")).total == 15
        assert await stage.told("bulk:1") == ["JobCreated"]

    async def test_a_chunk_that_is_brought_twice_keeps_its_first_place(self, stage: Stage) -> None:
        claim = await stage.start("bulk", type="bulk")

        await stage.record(claim, children=tuple(stage.chunk("bulk", number) for number in (1, 2, 1, 3)))

        chunks = await stage.take()
        assert [chunk.envelope.id for chunk in chunks] == ["bulk:1", "bulk:2", "bulk:3"]

    async def test_chunks_can_run_while_their_parent_still_plans(self, stage: Stage) -> None:
        parent = await stage.start("bulk", type="bulk")
        await stage.record(parent, children=(stage.chunk("bulk", 1, 10),))
        chunk = await stage.take_one()

        await stage.settle(chunk, Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        job = await stage.status("bulk")
        assert (job.status, job.processed, job.total) == (Status.PROCESSING, 10, 10)
