"""Rescuing: leases that ran out, and those that only seem so."""

from aiojobs_engine.core.events import LeaseLost
from aiojobs_engine.core.instant import Instant, moment
from aiojobs_engine.core.state import Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import LeaseStatus
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

YEAR_MS = 365 * 86_400_000


class RescueContract(Contract):
    """`Backend.rescue` and `Backend.extend`."""

    async def test_a_lease_runs_out_at_its_very_millisecond(self, stage: Stage) -> None:
        await stage.put("a")
        await stage.take(lease=10)

        await stage.clock.advance(9.999)
        assert await stage.backend.rescue("w2", 10, 30) == []
        await stage.clock.advance(0.001)
        assert len(await stage.backend.rescue("w2", 10, 30)) == 1

    async def test_a_rescued_job_changes_hands_under_a_new_token(self, stage: Stage) -> None:
        lost = await stage.start("a", meta={"k": 1})
        await stage.record(lost, counters=Counters(3, 0, 0, 9), cursor=b"3")
        await stage.record(lost, counters=Counters(5, 0, 0, 9))
        await stage.clock.advance(30)

        (claim,) = await stage.backend.rescue("w2", 10, 30)

        assert (claim.envelope, claim.lost_worker) == (lost.envelope, "w1")
        assert claim.lease.token == lost.lease.token + 1
        assert (claim.attempts, claim.crashes, claim.started_at) == (0, 0, lost.started_at)
        assert (claim.cursor, claim.counters) == (b"3", Counters(3, 0, 0, 9))
        job = await stage.status("a")
        assert (job.status, job.worker) == (Status.PROCESSING, "w2")
        assert job.started_at == moment(lost.started_at)

    async def test_a_rescue_tells_which_jobs_were_claimed_ahead_and_never_begun(self, stage: Stage) -> None:
        await stage.put("a", "b", "c", "d")
        claims = await stage.take(4, lease=10, ahead=3)
        await stage.backend.begin([claims[2].lease])
        await stage.clock.advance(10)

        lost = await stage.backend.rescue("w2", 10, 30)

        assert all(claim.has_started for claim in claims)
        started = {claim.envelope.id: claim.has_started for claim in lost}
        assert started == {"a": True, "b": False, "c": True, "d": False}

    async def test_a_stale_lease_begins_nothing(self, stage: Stage) -> None:
        await stage.put("a")
        (first,) = await stage.take(1, lease=10, ahead=1)
        await stage.clock.advance(10)
        (second,) = await stage.backend.rescue("w2", 10, 10)
        await stage.backend.begin([first.lease])
        await stage.clock.advance(10)

        (third,) = await stage.backend.rescue("w3", 10, 10)

        assert (second.has_started, third.has_started) == (False, False)

    async def test_a_short_answer_has_fewer_claimed_ahead(self, stage: Stage) -> None:
        await stage.put("a", "b")
        await stage.take(5, lease=10, ahead=4)
        await stage.clock.advance(10)

        lost = await stage.backend.rescue("w2", 10, 30)

        assert [claim.has_started for claim in lost] == [True, False]

    async def test_the_loss_is_told(self, stage: Stage) -> None:
        await stage.start("a")
        await stage.clock.advance(30)

        await stage.backend.rescue("w2", 10, 30)

        event = (await stage.events())[-1]
        assert isinstance(event, LeaseLost)
        assert (event.job_id, event.status, event.worker) == ("a", Status.PROCESSING, "w1")
        assert (event.attempt, event.at) == (1, stage.clock.now())

    async def test_a_rescued_lease_runs_out_like_any_other(self, stage: Stage) -> None:
        await stage.start("a")
        await stage.clock.advance(30)
        await stage.backend.rescue("w2", 10, 30)
        assert await stage.backend.rescue("w3", 10, 30) == []
        await stage.clock.advance(30)

        (claim,) = await stage.backend.rescue("w3", 10, 30)

        assert (claim.lost_worker, claim.lease.token) == ("w2", 3)

    async def test_those_that_ran_out_first_come_first(self, stage: Stage) -> None:
        await stage.put("a", "b", "c")
        await stage.take(1, lease=30)
        await stage.take(1, lease=10)
        await stage.take(1, lease=20)
        await stage.clock.advance(60)

        first = await stage.backend.rescue("w2", 2, 30)
        rest = await stage.backend.rescue("w2", 2, 30)

        assert [claim.envelope.id for claim in first + rest] == ["b", "c", "a"]

    async def test_an_extended_lease_does_not_run_out(self, stage: Stage) -> None:
        claim = await stage.start("a")
        await stage.clock.advance(29)

        assert await stage.backend.extend([claim.lease], 30) == [LeaseStatus(held=True)]

        await stage.clock.advance(29)
        assert await stage.backend.rescue("w2", 10, 30) == []
        await stage.clock.advance(1)
        assert len(await stage.backend.rescue("w2", 10, 30)) == 1

    async def test_a_lease_can_be_shortened(self, stage: Stage) -> None:
        claim = await stage.start("a")

        await stage.backend.extend([claim.lease], 1)

        await stage.clock.advance(1)
        assert len(await stage.backend.rescue("w2", 10, 30)) == 1

    async def test_renewal_tells_of_a_cancel_and_of_a_pause(self, stage: Stage) -> None:
        await stage.put("a", "b")
        first, second = await stage.take()
        await stage.backend.cancel(["a"])
        await stage.backend.pause(["b"])

        assert await stage.backend.extend([second.lease, first.lease], 30) == [
            LeaseStatus(held=True, pausing=True),
            LeaseStatus(held=True, cancelling=True),
        ]

    async def test_a_rescued_claim_tells_of_a_cancel(self, stage: Stage) -> None:
        await stage.start("a")
        await stage.backend.cancel(["a"])
        await stage.clock.advance(30)

        (claim,) = await stage.backend.rescue("w2", 10, 30)

        assert claim.cancelling is True

    async def test_a_wall_clock_that_jumps_frees_no_lease(self, stage: Stage) -> None:
        await stage.start("a")

        stage.clock.set_wall(Instant(stage.clock.now() + YEAR_MS))

        assert await stage.backend.rescue("w2", 10, 30) == []

    async def test_a_wall_clock_that_falls_back_keeps_no_lease(self, stage: Stage) -> None:
        await stage.start("a")
        stage.clock.set_wall(Instant(stage.clock.now() - YEAR_MS))
        await stage.clock.advance(30)

        assert len(await stage.backend.rescue("w2", 10, 30)) == 1

    async def test_after_a_reboot_every_lease_has_run_out(self, stage: Stage) -> None:
        await stage.clock.advance(1000)
        await stage.start("a")

        stage.clock.reboot("next")

        (claim,) = await stage.backend.rescue("w2", 10, 30)
        assert claim.envelope.id == "a"
        await stage.clock.advance(29)
        assert await stage.backend.rescue("w3", 10, 30) == []
        await stage.clock.advance(1)
        assert len(await stage.backend.rescue("w3", 10, 30)) == 1

    async def test_a_lease_that_is_renewed_after_a_reboot_is_held(self, stage: Stage) -> None:
        claim = await stage.start("a")
        stage.clock.reboot("next")

        await stage.backend.extend([claim.lease], 30)

        assert await stage.backend.rescue("w2", 10, 30) == []
