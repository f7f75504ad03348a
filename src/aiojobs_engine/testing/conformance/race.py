"""Races: many at once, and still each job in one pair of hands."""

import asyncio
from collections import Counter

from aiojobs_engine.core.state import FINAL, Status
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim
from aiojobs_engine.testing.conformance.contract import Contract
from aiojobs_engine.testing.conformance.stage import Stage

JOBS = 60
WORKERS = 6


class RaceContract(Contract):
    """Verbs of many callers at the same time."""

    async def test_no_job_is_handed_out_twice(self, stage: Stage) -> None:
        await stage.put(*[f"a{number}" for number in range(JOBS)])

        async def work(number: int) -> list[str]:
            taken: list[str] = []
            while claims := await stage.take(3, worker=f"w{number}"):
                taken += [claim.envelope.id for claim in claims]
                await asyncio.sleep(0)
            return taken

        hands = await asyncio.gather(*map(work, range(WORKERS)))

        taken = Counter(job_id for hand in hands for job_id in hand)
        assert (len(taken), max(taken.values())) == (JOBS, 1)

    async def test_claims_settlements_and_new_jobs_may_mix(self, stage: Stage) -> None:
        async def dispatch() -> None:
            for number in range(JOBS):
                await stage.put(f"a{number}")

        async def work(number: int) -> int:
            done = 0
            for _ in range(JOBS):
                claims = await stage.take(4, worker=f"w{number}")
                answers = await stage.backend.settle(
                    [stage.settlement(claim, Status.COMPLETED) for claim in claims]
                )
                assert all(answers)
                done += len(answers)
                await asyncio.sleep(0)
            return done

        done, _ = await asyncio.gather(asyncio.gather(*map(work, range(WORKERS))), dispatch())

        rest = await stage.take(JOBS)
        assert sum(done) + len(rest) == JOBS

    async def test_of_many_dispatchers_of_one_job_one_creates_it(self, stage: Stage) -> None:
        answers = await asyncio.gather(*[stage.put("a") for _ in range(WORKERS)])

        assert sorted(answer.created for (answer,) in answers) == [False] * (WORKERS - 1) + [True]
        assert await stage.told("a") == ["JobCreated"]

    async def test_the_last_chunks_may_settle_at_the_same_time(self, stage: Stage) -> None:
        chunks = await stage.spawn(chunks=12)

        await asyncio.gather(
            *[stage.settle(chunk, Status.COMPLETED, counters=Counters(9, 1, 0, 10)) for chunk in chunks]
        )

        job = await stage.status("bulk")
        assert (job.status, job.succeeded, job.failed) == (Status.PARTIAL, 108, 12)
        assert (await stage.told("bulk")).count("JobCompleted") == 1

    async def test_a_repeated_settlement_that_overtakes_counts_once(self, stage: Stage) -> None:
        (chunk,) = await stage.spawn(chunks=1)
        settlement = stage.settlement(chunk, Status.COMPLETED, counters=Counters(9, 1, 0, 10))

        answers = await asyncio.gather(*[stage.backend.settle([settlement]) for _ in range(WORKERS)])

        assert answers == [[True]] * WORKERS
        assert (await stage.status("bulk")).processed == 10

    async def test_a_lease_that_ran_out_has_one_rescuer(self, stage: Stage) -> None:
        await stage.put("a", "b", "c")
        await stage.take()
        await stage.clock.advance(30)

        rescued = await asyncio.gather(
            *[stage.backend.rescue(f"w{number}", 10, 30) for number in range(WORKERS)]
        )

        claims: list[Claim] = [claim for claims in rescued for claim in claims]
        assert sorted(claim.envelope.id for claim in claims) == ["a", "b", "c"]
        assert {claim.lease.token for claim in claims} == {2}

    async def test_a_cancel_and_an_end_at_the_same_time_agree(self, stage: Stage) -> None:
        names = [f"a{number}" for number in range(20)]
        await stage.put(*names)
        claims = await stage.take()

        cancelled, settled = await asyncio.gather(
            asyncio.gather(*[stage.backend.cancel([name]) for name in names]),
            asyncio.gather(*[stage.settle(claim, Status.RETRYING) for claim in claims]),
        )

        assert settled == [True] * len(names)
        for name, (answer,) in zip(names, cancelled, strict=True):
            assert answer.done
            assert (await stage.status(name)).status is Status.CANCELLED

    async def test_claiming_and_cancelling_at_the_same_time_leaves_each_job_whole(self, stage: Stage) -> None:
        names = [f"a{number}" for number in range(20)]
        await stage.put(*names)

        claims, _ = await asyncio.gather(stage.take(10), stage.backend.cancel(names))
        await stage.backend.settle([stage.settlement(claim, Status.CANCELLED) for claim in claims])

        assert FINAL.issuperset(await stage.is_at(*names))
        assert await stage.take() == []
