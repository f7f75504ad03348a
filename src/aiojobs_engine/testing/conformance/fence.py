"""The fence: whoever lost a lease writes nothing any more."""

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters, RowFault
from aiojobs_engine.ports.backend import Claim, Lease, LeaseStatus, Record
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

Loss = Callable[[Stage, Claim], Awaitable[None]]
Write = Callable[[Stage, Claim], Awaitable[bool]]


async def _rescued(stage: Stage, claim: Claim) -> None:
    await stage.clock.advance(30)
    assert [one.envelope.id for one in await stage.backend.rescue("w2", 10, 30)] == [claim.envelope.id]


async def _claimed_again(stage: Stage, claim: Claim) -> None:
    await stage.settle(claim, Status.PENDING)
    await stage.take_one(worker="w2")


async def _deleted(stage: Stage, claim: Claim) -> None:
    await stage.settle(claim, Status.COMPLETED)
    assert await stage.backend.delete([claim.envelope.id]) == [True]


async def _stored_anew(stage: Stage, claim: Claim) -> None:
    await _deleted(stage, claim)
    await stage.start(claim.envelope.id)


async def _settle(stage: Stage, claim: Claim) -> bool:
    fault = RowFault(1, None, {"a": "b"}, None, "no")
    return await stage.settle(
        claim, Status.COMPLETED, result=b"1", counters=Counters(1, 1, 0, 2), cursor=b"9", faults=(fault,)
    )


async def _settle_plainly(stage: Stage, claim: Claim) -> bool:
    return await stage.settle(claim, Status.COMPLETED)


async def _settle_with_a_result(stage: Stage, claim: Claim) -> bool:
    return await stage.settle(claim, Status.COMPLETED, result=b"1")


async def _settle_back(stage: Stage, claim: Claim) -> bool:
    return await stage.settle(claim, Status.RETRYING, due_at=stage.clock.now())


async def _report(stage: Stage, claim: Claim) -> bool:
    counters = Counters(1, 0, 0, 2)
    event = stage.progressed(claim, counters)
    return await stage.record(claim, counters=counters, message="late", cursor=b"9", event=event)


async def _plan(stage: Stage, claim: Claim) -> bool:
    return await stage.record(claim, children=(stage.chunk(claim.envelope.id, 1),))


async def _extend(stage: Stage, claim: Claim) -> bool:
    (answer,) = await stage.backend.extend([claim.lease], 1000)
    return answer.held


LOSSES: list[Loss] = [_rescued, _claimed_again, _deleted, _stored_anew]
WRITES: list[Write] = [
    _settle,
    _settle_plainly,
    _settle_with_a_result,
    _settle_back,
    _report,
    _plan,
    _extend,
]


def _named(value: Callable[..., object]) -> str:
    return value.__name__.strip("_")


class FenceContract(Contract):
    """Tokens, in every verb that carries one."""

    @pytest.mark.parametrize("lose", LOSSES, ids=_named)
    @pytest.mark.parametrize("write", WRITES, ids=_named)
    async def test_a_lost_lease_changes_nothing(self, stage: Stage, lose: Loss, write: Write) -> None:
        claim = await stage.start("a")
        await lose(stage, claim)
        before = await stage.picture()

        assert await write(stage, claim) is False

        assert await stage.picture() == before

    @pytest.mark.parametrize("token", [-1, 0, 2])
    @pytest.mark.parametrize("write", WRITES, ids=_named)
    async def test_another_token_changes_nothing(self, stage: Stage, token: int, write: Write) -> None:
        claim = await stage.start("a")
        forged = msgspec.structs.replace(claim, lease=msgspec.structs.replace(claim.lease, token=token))
        before = await stage.picture()

        assert await write(stage, forged) is False

        assert await stage.picture() == before

    @pytest.mark.parametrize("write", WRITES, ids=_named)
    async def test_a_job_that_was_never_claimed_has_no_lease(self, stage: Stage, write: Write) -> None:
        claim = await stage.start("a")
        await stage.put("b")
        lease = Lease("b", "default", 0, claim.lease.ref)
        envelope = stage.envelope("b")
        before = await stage.picture()

        assert await write(stage, msgspec.structs.replace(claim, envelope=envelope, lease=lease)) is False

        assert await stage.picture() == before

    @pytest.mark.parametrize("write", [_report, _plan, _extend], ids=_named)
    async def test_a_settled_run_reports_nothing_more(self, stage: Stage, write: Write) -> None:
        claim = await stage.start("a")
        await stage.settle(claim, Status.RETRYING, due_at=stage.after(60))
        before = await stage.picture()

        assert await write(stage, claim) is False

        assert await stage.picture() == before

    @pytest.mark.parametrize("write", WRITES, ids=_named)
    async def test_a_lease_that_only_ran_out_is_still_held(self, stage: Stage, write: Write) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(300)

        assert await write(stage, claim) is True

    async def test_the_rescuer_writes_where_the_lost_worker_may_not(self, stage: Stage) -> None:
        lost = await stage.start("a")
        await stage.clock.advance(30)
        (rescued,) = await stage.backend.rescue("w2", 10, 30)

        answers = await stage.backend.settle(
            [stage.settlement(lost, Status.FAILED), stage.settlement(rescued, Status.COMPLETED)]
        )

        assert answers == [False, True]
        assert await stage.is_at("a") == [Status.COMPLETED]

    async def test_a_stale_write_fails_no_neighbour(self, stage: Stage) -> None:
        await stage.put("a", "b", "c")
        first, second, third = await stage.take()
        await stage.settle(second, Status.PENDING)

        records = [Record(lease=claim.lease, message="here") for claim in (first, second, third)]

        assert await stage.backend.record(records) == [True, False, True]
        assert await stage.backend.extend([first.lease, second.lease, third.lease], 60) == [
            LeaseStatus(held=True),
            LeaseStatus(held=False),
            LeaseStatus(held=True),
        ]
        assert [(await stage.status(job)).message for job in ("a", "b", "c")] == ["here", None, "here"]
