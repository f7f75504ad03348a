"""Unique jobs: one at a time per key, in the queue."""

import asyncio
from typing import Any

import pytest

from aiojobs_engine.core.events import JobInterrupted
from aiojobs_engine.core.instant import moment
from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.uniqueness import UniqueKey
from aiojobs_engine.ports.backend import Enqueued
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

KEY = UniqueKey(key="k")
LOST = Enqueued("a", created=False)


class UniqueContract(Contract):
    """`Envelope.unique` in `Backend.enqueue`."""

    async def test_a_second_job_of_a_key_is_not_stored(self, stage: Stage) -> None:
        assert await stage.put("a", unique=KEY) == [Enqueued("a", created=True)]

        assert await stage.put("b", unique=KEY) == [LOST]

        assert await stage.backend.get(["b"]) == [None]
        assert await stage.told("b") == []

    async def test_in_one_batch_the_first_one_wins(self, stage: Stage) -> None:
        answers = await stage.put("a", "b", "a", "c", unique=KEY)

        assert answers == [Enqueued("a", created=True), LOST, LOST, LOST]
        assert [job.id for job in await stage.all_jobs()] == ["a"]

    async def test_jobs_without_a_rule_and_with_other_keys_are_let_in(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)

        (plain,) = await stage.put("b")
        (other,) = await stage.put("c", unique=UniqueKey(key="K"))

        assert plain.created
        assert other.created

    async def test_a_key_belongs_to_its_queue(self, stage: Stage) -> None:
        await stage.put("a", unique=UniqueKey(key="b/k"), queue="default")

        (answer,) = await stage.put("b", unique=KEY, queue="default.b")
        (again,) = await stage.put("c", unique=KEY, queue="default.b")

        assert answer.created
        assert again == Enqueued("b", created=False)

    async def test_a_key_is_shared_by_the_types_of_a_queue(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)

        assert await stage.put("b", unique=KEY, type="bulk") == [LOST]

    async def test_the_rule_is_that_of_the_dispatch(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)

        (answer,) = await stage.put("b", unique=UniqueKey(key="k", states=(Status.PROCESSING,)))

        assert answer.created

    @pytest.mark.parametrize("status", sorted(set(Status) - {Status.WAITING, Status.EXPIRED}))
    async def test_a_job_keeps_others_out_in_the_states_of_the_rule(
        self, stage: Stage, status: Status
    ) -> None:
        await _bring_unique(stage, status)

        (by_default,) = await stage.put("b", unique=KEY)

        assert by_default.created is (status in FINAL)

    @pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
    async def test_a_final_job_keeps_others_out_where_the_rule_says_so(
        self, stage: Stage, status: Status
    ) -> None:
        await _bring_unique(stage, status)

        assert await stage.put("b", unique=UniqueKey(key="k", states=(status,))) == [LOST]

    async def test_a_window_ends_with_its_last_millisecond(self, stage: Stage) -> None:
        rule = UniqueKey(key="k", window=1_000)
        await stage.put("a", unique=rule)
        await stage.clock.advance(0.999)
        (before,) = await stage.put("b", unique=rule)
        await stage.clock.advance(0.001)

        (after,) = await stage.put("c", unique=rule)

        assert before == LOST
        assert after.created

    async def test_the_newest_job_holds_the_key(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)
        only_running = UniqueKey(key="k", states=(Status.PROCESSING,))
        await stage.put("b", unique=only_running)

        assert await stage.put("c", unique=KEY) == [Enqueued("b", created=False)]

        await stage.backend.cancel(["b"])
        (answer,) = await stage.put("d", unique=KEY)
        assert answer.created

    async def test_a_deleted_job_holds_no_key(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)
        await stage.put("b", unique=UniqueKey(key="k", states=(Status.FAILED,)))
        await stage.backend.delete(["b"])

        assert await stage.put("c", unique=KEY) == [LOST]

        await stage.backend.delete(["a"])
        (answer,) = await stage.put("d", unique=KEY)
        assert answer.created

    async def test_the_same_dispatch_again_is_the_same_job(self, stage: Stage) -> None:
        await stage.put("a", unique=KEY)
        claim = await stage.take_one()
        await stage.settle(claim, Status.COMPLETED)
        await stage.put("b", unique=KEY)

        assert await stage.put("a", unique=KEY) == [LOST]
        assert await stage.is_at("a", "b") == [Status.COMPLETED, Status.PENDING]

    async def test_of_many_callers_at_once_one_wins(self, stage: Stage) -> None:
        answers = await asyncio.gather(*[stage.put(f"j{n}", unique=KEY) for n in range(20)])

        assert sum(answer.created for (answer,) in answers) == 1
        assert len({answer.job_id for (answer,) in answers}) == 1


class ReplaceContract(Contract):
    """Rules that replace."""

    async def test_a_queued_job_takes_over_what_comes(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule(), tags=("old",), payload=b'{"n":1}')
        await stage.put("z")
        await stage.clock.advance(1)

        answers = await stage.put(
            "b", unique=_rule(), tags=("new",), payload=b'{"n":2}', meta={"m": 1}, user_id=3
        )

        assert answers == [LOST]
        status = await stage.status("a")
        assert (status.tags, status.meta, status.user_id) == (("new",), {"m": 1}, 3)
        assert status.created_at == moment(stage.after(-1))
        first, second = await stage.take(2)
        assert (first.envelope.id, bytes(first.envelope.payload)) == ("a", b'{"n":2}')
        assert second.envelope.id == "z"
        assert await stage.told("a") == ["JobCreated", "JobStarted"]

    async def test_the_new_tags_find_the_job_and_the_old_ones_do_not(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule(), tags=("old",))
        await stage.put("b", unique=_rule(), tags=("new",))

        assert [job.id for job in await stage.tagged("new")] == ["a"]
        assert await stage.tagged("old") == []

    async def test_a_large_payload_replaces_a_small_one_and_back(self, stage: Stage) -> None:
        large = b'{"n":"%s"}' % (b"x" * 10_000)
        await stage.put("a", unique=_rule())
        for payload in (large, b'{"n":2}', large):
            await stage.put("b", unique=_rule(), payload=payload)

            (envelope,) = await stage.backend.envelopes(["a"])
            assert envelope is not None
            assert bytes(envelope.payload) == payload

    async def test_it_goes_by_the_new_priority(self, stage: Stage) -> None:
        await stage.put("z")
        await stage.put("a", unique=_rule())
        await stage.put("b", unique=_rule(), priority=5)

        assert [claim.envelope.id for claim in await stage.take(2)] == ["a", "z"]

    async def test_a_job_is_put_off_and_called_forward(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule())
        await stage.put("b", unique=_rule(), scheduled_at=stage.after(5))
        assert await stage.is_at("a") == [Status.SCHEDULED]
        assert (await stage.status("a")).scheduled_at == moment(stage.after(5))

        await stage.put("c", unique=_rule())

        assert await stage.is_at("a") == [Status.PENDING]
        changes = [event for event in await stage.events() if isinstance(event, JobInterrupted)]
        assert [event.status for event in changes] == [Status.SCHEDULED, Status.PENDING]

    async def test_it_is_put_off_no_longer_than_max_wait(self, stage: Stage) -> None:
        start = stage.clock.now()
        for _ in range(4):
            await stage.put("a", unique=_rule(max_wait=10_000), scheduled_at=stage.after(5))
            await stage.put("b", unique=_rule(max_wait=10_000), scheduled_at=stage.after(5))
            await stage.clock.advance(3)

        assert (await stage.status("a")).scheduled_at == moment(start + 10_000)

    async def test_it_expires_when_the_new_one_would(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule(), expires_at=stage.after(1))
        await stage.put("b", unique=_rule(), expires_at=stage.after(10))
        await stage.clock.advance(5)
        await stage.backend.promote(10)
        assert await stage.is_at("a") == [Status.PENDING]

        await stage.clock.advance(5)
        await stage.backend.promote(10)

        assert await stage.is_at("a") == [Status.EXPIRED]

    @pytest.mark.parametrize("status", [Status.PROCESSING, Status.RETRYING, Status.PAUSED])
    async def test_a_job_that_has_run_or_is_paused_is_left_as_it_is(
        self, stage: Stage, status: Status
    ) -> None:
        await _bring_unique(stage, status)

        answers = await stage.put("b", unique=_rule(), payload=b'{"n":2}')

        assert answers == [LOST]
        (envelope,) = await stage.backend.envelopes(["a"])
        assert envelope is not None
        assert bytes(envelope.payload) == b'{"n":1}'

    async def test_a_job_of_another_type_is_left_as_it_is(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule())

        assert await stage.put("b", unique=_rule(), type="bulk", priority=3) == [LOST]

        assert (await stage.status("a")).priority == 0

    async def test_within_a_batch_the_last_one_holds(self, stage: Stage) -> None:
        envelopes = [
            stage.envelope(job_id, unique=_rule(), priority=n) for n, job_id in enumerate(["a", "b", "c"])
        ]

        answers = await stage.backend.enqueue(envelopes)

        assert answers == [Enqueued("a", created=True), LOST, LOST]
        assert (await stage.status("a")).priority == 2

    async def test_a_replaced_dispatch_may_be_repeated(self, stage: Stage) -> None:
        await stage.put("a", unique=_rule())
        await stage.put("b", unique=_rule(), payload=b'{"n":2}')

        assert await stage.put("a", unique=_rule()) == [LOST]

        (envelope,) = await stage.backend.envelopes(["a"])
        assert envelope is not None
        assert bytes(envelope.payload) == b'{"n":2}'


def _rule(**fields: Any) -> UniqueKey:
    return UniqueKey(key="k", replaces=True, **fields)


async def _bring_unique(stage: Stage, status: Status) -> None:
    """The job `a` under the key, at `status`, in a store where nothing else is pending."""
    due = {"scheduled_at": stage.after(60)} if status is Status.SCHEDULED else {}
    await stage.put("a", unique=KEY, **due)
    if status is Status.PAUSED:
        await stage.backend.pause(["a"])
    elif status not in {Status.SCHEDULED, Status.PENDING}:
        claim = await stage.take_one()
        if status is not Status.PROCESSING:
            await stage.settle(claim, status, due_at=stage.after(60) if status is Status.RETRYING else None)
    assert await stage.is_at("a") == [status]
