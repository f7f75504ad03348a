"""Enqueueing: what is stored, once, and comes back as it was sent."""

import msgspec
import pytest

from aiojobs_engine.core.envelope import VERSION, Envelope
from aiojobs_engine.core.events import JobCreated
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.retry import RetrySpec
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage


class EnqueueContract(Contract):
    """`Backend.enqueue`."""

    async def test_a_job_that_is_due_is_pending(self, stage: Stage) -> None:
        answers = await stage.put("a")

        assert answers == [Enqueued("a", created=True)]
        assert await stage.is_at("a") == [Status.PENDING]

    async def test_a_job_for_later_is_scheduled(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.after(0.001))

        status = await stage.status("a")
        assert status.status is Status.SCHEDULED
        assert status.scheduled_at == moment(stage.after(0.001))

    async def test_a_job_scheduled_for_this_millisecond_is_pending(self, stage: Stage) -> None:
        await stage.put("a", scheduled_at=stage.clock.now())

        assert await stage.is_at("a") == [Status.PENDING]

    async def test_a_new_job_is_told_once(self, stage: Stage) -> None:
        await stage.put("a", user_id=7, total=5)
        await stage.put("a", user_id=7, total=5)

        (event,) = await stage.events()
        assert isinstance(event, JobCreated)
        assert (event.job_id, event.type, event.kind, event.queue) == ("a", "work", "job", "default")
        assert (event.status, event.processed, event.total, event.user_id) == (Status.PENDING, 0, 5, 7)
        assert (event.attempt, event.at) == (0, stage.clock.now())

    async def test_a_new_job_starts_from_nothing(self, stage: Stage) -> None:
        await stage.put("a", total=3, priority=4, tags=("x",), meta={"k": [1]}, strategy="batch")

        status = await stage.status("a")
        assert (status.attempts, status.crashes, status.epoch, status.total) == (0, 0, 0, 3)
        assert (status.priority, status.tags, status.meta, status.strategy) == (
            4,
            ("x",),
            {"k": [1]},
            "batch",
        )
        assert (status.started_at, status.finished_at, status.worker, status.error) == (
            None,
            None,
            None,
            None,
        )
        assert status.created_at == moment(stage.clock.now())

    async def test_a_repeated_dispatch_stores_nothing(self, stage: Stage) -> None:
        await stage.put("a", meta={"first": True})

        answers = await stage.put("a", meta={"second": True}, priority=3)

        assert answers == [Enqueued("a", created=False)]
        assert (await stage.status("a")).meta == {"first": True}

    @pytest.mark.parametrize(
        "other",
        [{"type": "other"}, {"queue": "other"}, {"payload": msgspec.Raw(b'{"n":2}')}],
        ids=["type", "queue", "payload"],
    )
    async def test_an_id_taken_by_another_job_is_a_conflict(
        self, stage: Stage, other: dict[str, object]
    ) -> None:
        await stage.put("a")

        answers = await stage.put("a", **other)

        assert answers == [Enqueued("a", created=False, conflict=True)]
        assert await stage.told("a") == ["JobCreated"]
        assert [bytes(envelope.payload) for envelope in await _stored(stage, "a")] == [b'{"n":1}']

    async def test_a_finished_job_still_holds_its_id(self, stage: Stage) -> None:
        await stage.bring("a", Status.COMPLETED)

        assert await stage.put("a") == [Enqueued("a", created=False)]
        assert await stage.is_at("a") == [Status.COMPLETED]

    async def test_the_same_job_twice_in_a_batch_is_one(self, stage: Stage) -> None:
        answers = await stage.put("a", "b", "a")

        assert [answer.created for answer in answers] == [True, True, False]
        assert [answer.conflict for answer in answers] == [False, False, False]
        assert await stage.told("a") == ["JobCreated"]

    async def test_a_conflict_in_a_batch_fails_no_neighbour(self, stage: Stage) -> None:
        batch = [stage.envelope("a"), stage.envelope("a", type="other"), stage.envelope("b")]

        answers = await stage.backend.enqueue(batch)

        assert [(one.job_id, one.created, one.conflict) for one in answers] == [
            ("a", True, False),
            ("a", False, True),
            ("b", True, False),
        ]
        assert (await stage.status("a")).type == "work"

    async def test_enqueueing_nothing_changes_nothing(self, stage: Stage) -> None:
        assert await stage.backend.enqueue([]) == []
        assert await stage.events() == []

    async def test_a_large_batch_keeps_its_order(self, stage: Stage) -> None:
        names = [f"job-{number:04d}" for number in range(700)]

        answers = await stage.put(*names)

        assert [answer.job_id for answer in answers] == names
        assert [claim.envelope.id for claim in await stage.take(1000)] == names

    async def test_an_envelope_comes_back_word_for_word(self, stage: Stage) -> None:
        sent = Envelope(
            id="A-z_0.9:x",
            type="app.send:it-now",
            payload=msgspec.Raw(
                '{"b":[1,2.50,null,"Zoë 🚀 \\u0000"],"a":{"x":12345678901234567890}}'.encode()
            ),
            created_at=stage.clock.now(),
            kind="report",
            queue="mail:eu.1-x_y",
            priority=-(2**31) + 1,
            expires_at=stage.after(60),
            user_id="7",
            retry=RetrySpec(policy="fixed", max_attempts=7, base=0.25, cap=None),
            timeout=0.5,
            result_ttl=0.0,
            max_crashes=2,
            tags=("b", "a"),
            meta={"nested": {"list": [1, None, True]}, "ünï": "çødé"},
            headers={"traceparent": "00-1-2-01"},
        )

        await stage.backend.enqueue([sent])

        assert await stage.backend.envelopes(["A-z_0.9:x"]) == [sent]
        (claim,) = await stage.take(queues=["mail:eu.1-x_y"], types=["app.send:it-now"])
        assert claim.envelope == sent
        assert bytes(claim.envelope.payload) == bytes(sent.payload)

    async def test_a_user_id_keeps_its_type(self, stage: Stage) -> None:
        await stage.put("number", user_id=7)
        await stage.put("text", user_id="7")

        assert [(await stage.status(job_id)).user_id for job_id in ("number", "text")] == [7, "7"]
        assert [event.user_id for event in await stage.events()] == [7, "7"]

    async def test_what_the_caller_changes_later_changes_nothing(self, stage: Stage) -> None:
        meta = {"list": [1]}
        await stage.put("a", meta=meta)

        meta["list"].append(2)

        assert (await stage.status("a")).meta == {"list": [1]}

    async def test_what_a_reader_changes_changes_nothing(self, stage: Stage) -> None:
        await stage.put("a", meta={"list": [1]})
        (envelope,) = await _stored(stage, "a")
        status = await stage.status("a")

        envelope.meta["list"].append(2)
        status.meta["list"].append(3)

        claim = await stage.take_one()
        claim.envelope.meta["list"].append(4)
        assert (await stage.status("a")).meta == {"list": [1]}
        assert [one.meta for one in await _stored(stage, "a")] == [{"list": [1]}]
        await stage.settle(claim, Status.PENDING)
        assert (await stage.take_one()).envelope.meta == {"list": [1]}

    async def test_a_newer_envelope_is_kept_and_listed_and_never_claimed(self, stage: Stage) -> None:
        await stage.put("new", v=VERSION + 1)
        await stage.put("old")

        claims = await stage.take()

        assert [claim.envelope.id for claim in claims] == ["old"]
        assert await stage.is_at("new") == [Status.PENDING]
        assert {job.id for job in await stage.all_jobs()} == {"new", "old"}

    async def test_a_newer_envelope_can_be_cancelled(self, stage: Stage) -> None:
        await stage.put("new", v=VERSION + 1)

        await stage.backend.cancel(["new"])

        assert await stage.is_at("new") == [Status.CANCELLED]


async def _stored(stage: Stage, *job_ids: str) -> list[Envelope]:
    return [envelope for envelope in await stage.backend.envelopes(job_ids) if envelope is not None]
