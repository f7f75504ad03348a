"""Reading: what people and handles get to see."""

from typing import Any

import pytest

from aiojobs_engine.core.errors import ConfigError
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, ErrorInfo, RowFault
from aiojobs_engine.ports.backend import JobFilter, Outlook, Result, TypeRecord, WorkerRecord
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class InspectorContract(Contract):
    """`Inspector`, with what workers announce."""

    async def test_jobs_are_read_in_the_order_asked(self, stage: Stage) -> None:
        await stage.put("a", "b")

        jobs = await stage.backend.get(["b", "x", "a", "b"])

        assert [job and job.id for job in jobs] == ["b", None, "a", "b"]
        envelopes = await stage.backend.envelopes(["b", "x", "a"])
        assert [envelope and envelope.id for envelope in envelopes] == ["b", None, "a"]

    async def test_results_tell_status_value_and_error(self, stage: Stage) -> None:
        await stage.settle(await stage.start("good"), Status.COMPLETED, result=b"[1]")
        error = ErrorInfo("E", "m", "t", "max_attempts")
        await stage.settle(await stage.start("bad"), Status.FAILED, error=error)
        await stage.put("new")

        assert await stage.backend.results(["new", "bad", "x", "good"]) == [
            Result(status=Status.PENDING, type="work", result=None, expired=False, error=None),
            Result(status=Status.FAILED, type="work", result=None, expired=False, error=error),
            None,
            Result(status=Status.COMPLETED, type="work", result=b"[1]", expired=False, error=None),
        ]

    async def test_a_pending_job_knows_how_many_come_before_it(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.put("high", priority=5)
        await stage.put("other", queue="other")
        await stage.put("bulk", type="bulk", priority=9)
        await stage.put("later", scheduled_at=stage.after(60))

        found = await stage.backend.outlooks(["b", "high", "a", "other", "later", "unknown"])

        assert [None if one is None else one.ahead for one in found] == [2, 0, 1, 0, None, None]

    async def test_a_running_job_knows_the_end_of_its_lease(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(10)

        assert await stage.backend.outlooks(["a"]) == [Outlook(lease_until=stage.after(20))]
        await stage.backend.extend([claim.lease], 60)
        assert await stage.backend.outlooks(["a"]) == [Outlook(lease_until=stage.after(60))]
        await stage.settle(claim, Status.COMPLETED)
        assert await stage.backend.outlooks(["a"]) == [Outlook()]

    @pytest.mark.parametrize(
        "which, expected",
        [
            ({}, "edcba"),
            ({"ids": ("a", "e", "x", "a")}, "ea"),
            ({"ids": ()}, ""),
            ({"status": (Status.PENDING,)}, "edcb"),
            ({"status": (Status.PENDING, Status.SCHEDULED)}, "edcba"),
            ({"status": ()}, ""),
            ({"type": "mail"}, "d"),
            ({"kind": "report"}, "c"),
            ({"queue": "other"}, "b"),
            ({"user_id": "7"}, "dc"),
            ({"user_id": "x"}, "b"),
            ({"tag": "red"}, "db"),
            ({"tag": "re"}, ""),
            ({"tag": "red", "queue": "default"}, "d"),
            ({"ids": ("a", "b", "c"), "user_id": "7"}, "c"),
        ],
        ids=str,
    )
    async def test_a_listing_holds_what_fits_the_last_accepted_first(
        self, stage: Stage, which: dict[str, Any], expected: str
    ) -> None:
        await stage.put("a", scheduled_at=stage.after(60))
        await stage.put("b", queue="other", tags=("red",), user_id="x")
        await stage.put("c", kind="report", user_id=7)
        await stage.put("d", type="mail", tags=("blue", "red"), user_id="7")
        await stage.put("e")

        found, cursor = await stage.backend.find(JobFilter(**which), 100, None)

        assert ("".join(job.id for job in found), cursor) == (expected, None)

    async def test_chunks_are_found_by_their_parent(self, stage: Stage) -> None:
        await stage.plan(chunks=3)

        chunks = await stage.all_jobs(JobFilter(parent_id="bulk"))

        assert [job.id for job in chunks] == ["bulk:3", "bulk:2", "bulk:1"]

    async def test_dead_jobs_are_failed_jobs_and_chunks_but_no_parents(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        error = ErrorInfo("E", "m", reason="crashed_worker")
        await stage.settle(chunk, Status.FAILED, counters=Counters(0, 10, 0, 10), error=error)
        await stage.bring("failed", Status.FAILED)
        await stage.bring("cancelled", Status.CANCELLED)

        assert await stage.is_at("bulk") == [Status.FAILED]
        assert [job.id for job in await stage.all_jobs(JobFilter(dead=True))] == ["failed", "bulk:1"]
        crashed = JobFilter(dead=True, reason="crashed_worker")
        assert [job.id for job in await stage.all_jobs(crashed)] == ["bulk:1"]
        assert [job.id for job in await stage.all_jobs(JobFilter(reason="rows"))] == ["bulk"]

    async def test_pages_hold_every_job_once(self, stage: Stage) -> None:
        names = [f"a{number}" for number in range(10)]
        await stage.put(*names)

        for size in (1, 3, 5, 10, 11):
            assert [job.id for job in await stage.all_jobs(page=size)] == names[::-1]

    async def test_the_last_page_has_no_cursor(self, stage: Stage) -> None:
        await stage.put("a", "b")

        _, cursor = await stage.backend.find(JobFilter(), 2, None)

        assert cursor is None

    async def test_pages_are_steady_while_jobs_come_and_go(self, stage: Stage) -> None:
        await stage.put("a", "b", "c", "d")
        first, cursor = await stage.backend.find(JobFilter(), 2, None)
        await stage.put("e")
        await stage.backend.delete(["c", "b"])

        second, _ = await stage.backend.find(JobFilter(), 2, cursor)

        assert [job.id for job in [*first, *second]] == ["d", "c", "a"]

    @pytest.mark.parametrize("cursor", ["", "nonsense", "-", "é", pytest.param("9" * 5000, id="endless")])
    async def test_a_cursor_of_somebody_else_is_refused(self, stage: Stage, cursor: str) -> None:
        with pytest.raises(ConfigError):
            await stage.backend.find(JobFilter(), 10, cursor)

    async def test_jobs_are_counted_by_queue_and_status(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.put("c", queue="other")
        await stage.take(1)

        assert await stage.backend.counts() == {
            ("default", Status.PENDING): 1,
            ("default", Status.PROCESSING): 1,
            ("other", Status.PENDING): 1,
        }

    async def test_queues_are_listed_by_name_with_what_waits_in_them(self, stage: Stage) -> None:
        await stage.put("a", queue="b-queue")
        await stage.backend.pause_queue("a-queue")
        await stage.clock.advance(10)
        await stage.put("b", queue="b-queue", scheduled_at=stage.after(-60))
        await stage.put("c", queue="b-queue", scheduled_at=stage.after(60))

        first, second = await stage.backend.queues()

        assert (first.name, first.paused, dict(first.counts)) == ("a-queue", True, {})
        assert first.oldest_age is None
        assert (second.name, second.paused) == ("b-queue", False)
        assert dict(second.counts) == {"pending": 2, "scheduled": 1}
        assert second.oldest_age == 60.0

    async def test_the_age_of_a_job_without_a_start_is_that_of_the_dispatch(self, stage: Stage) -> None:
        await stage.put("a", created_at=stage.after(-5))
        await stage.put("b", queue="other", created_at=stage.after(5))

        default, other = await stage.backend.queues()

        assert (default.oldest_age, other.oldest_age) == (5.0, 0.0)

    async def test_a_queue_that_had_jobs_is_still_listed(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.backend.delete(["a"])

        (queue,) = await stage.backend.queues()

        assert (queue.name, dict(queue.counts), queue.oldest_age) == ("default", {}, None)

    async def test_the_time_left_follows_the_rate_of_the_run(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(10)
        assert (await stage.status("a")).eta_seconds is None

        await stage.record(claim, counters=Counters(3, 1, 0, 10))

        assert (await stage.status("a")).eta_seconds == 15.0
        await stage.settle(claim, Status.COMPLETED)
        assert (await stage.status("a")).eta_seconds is None

    async def test_the_time_left_of_a_parent_runs_on_while_it_waits(self, stage: Stage) -> None:
        first, _ = await stage.spawn()
        await stage.clock.advance(5)

        await stage.settle(first, Status.COMPLETED, counters=Counters(10, 0, 0, 10))

        assert (await stage.status("bulk")).eta_seconds == 5.0

    async def test_workers_are_listed_by_start_until_they_leave(self, stage: Stage) -> None:
        late, early = _worker(stage, "a", started=5), _worker(stage, "b", started=0)
        await stage.backend.beat(late)
        await stage.backend.beat(early)
        assert await stage.backend.workers() == [early, late]

        await stage.backend.leave("b")

        assert await stage.backend.workers() == [late]
        await stage.backend.leave("b")

    async def test_a_beat_brings_the_newest_word_of_a_worker(self, stage: Stage) -> None:
        await stage.backend.beat(_worker(stage, "a", running=1))

        await stage.backend.beat(_worker(stage, "a", running=7))

        (worker,) = await stage.backend.workers()
        assert (worker.running, worker.queues) == (7, ("default", "mail"))

    async def test_the_newest_record_of_a_type_wins(self, stage: Stage) -> None:
        await stage.backend.publish([_type("b", queue="old"), _type("a")])

        await stage.backend.publish([_type("b", queue="new")])

        assert await stage.backend.types() == [_type("a"), _type("b", queue="new")]

    async def test_what_a_caller_does_to_a_type_later_changes_nothing(self, stage: Stage) -> None:
        record = _type("a")
        await stage.backend.publish([record])

        record.options["timeout"] = 0
        (await stage.backend.types())[0].options["timeout"] = 1

        assert await stage.backend.types() == [_type("a")]

    async def test_failed_rows_are_read_page_by_page_in_row_order(self, stage: Stage) -> None:
        claim = await stage.start("a")
        rows = [1000, 5, 70, 33, 2]
        faults = tuple(RowFault(row, None, {"row": row}, None, "no") for row in rows)
        await stage.settle(claim, Status.PARTIAL, faults=faults)

        seen: list[int] = []
        after: str | None = None
        while page := await stage.backend.failures("a", unresolved=False, after=after, limit=2):
            seen += [failure.row_number for failure in page]
            after = page[-1].id

        assert seen == sorted(rows)
        assert len({failure.id for failure in await stage.failures("a")}) == 5

    async def test_a_failed_row_keeps_what_stood_in_it(self, stage: Stage) -> None:
        claim = await stage.start("a")
        payload = {"name": "Zoë", "age": None, "list": [1, 2.5], "": "empty"}
        await stage.settle(claim, Status.PARTIAL, faults=(RowFault(7, "k", payload, "age", "must be int"),))
        payload["name"] = "changed"
        (await stage.failures("a"))[0].payload["name"] = "changed"

        (failure,) = await stage.failures("a")

        assert failure.payload == {"name": "Zoë", "age": None, "list": [1, 2.5], "": "empty"}
        assert (failure.row_key, failure.field, failure.message) == ("k", "age", "must be int")
        assert (failure.attempts, failure.resolved, len(failure.history)) == (1, False, 1)

    async def test_a_job_without_failed_rows_has_none(self, stage: Stage) -> None:
        await stage.put("a")

        assert await stage.failures("a") == await stage.failures("unknown") == []


def _worker(stage: Stage, worker_id: str, *, started: float = 0, running: int = 0) -> WorkerRecord:
    return WorkerRecord(
        id=worker_id,
        host="host",
        pid=7,
        queues=("default", "mail"),
        slots=10,
        running=running,
        started_at=stage.after(started),
        beat_at=stage.clock.now(),
        version="1.0",
    )


def _type(name: str, queue: str = "default") -> TypeRecord:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return TypeRecord(name=name, kind="job", queue=queue, options={"timeout": 300.0}, schema=schema)
