"""Jobs lie in lanes, one per queue and type; what is read of many lanes must come in the order of all."""

from random import Random

import pytest

from aiojobs_engine.backends.sqlite import SqliteBackend, claims, removal
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Keep
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.sqlite.conftest import Opened

LANES = 12
JOBS = 150


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let so little be read of a lane at once that it takes many turns."""
    monkeypatch.setattr(claims, "_SHARE", 2)
    monkeypatch.setattr(claims, "_FEW_LANES", 0)
    monkeypatch.setattr(claims, "_TURNS", JOBS)
    monkeypatch.setattr(removal, "_SHARE", 2)
    monkeypatch.setattr(removal, "_LANES", JOBS)


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("seed", range(3))
async def test_claims_of_many_lanes_come_in_the_order_of_all(
    store: SqliteBackend, stage: Stage, seed: int
) -> None:
    chance = Random(seed)
    jobs = [
        stage.envelope(f"j{number}", queue=f"q{chance.randrange(LANES)}", priority=chance.randrange(3))
        for number in range(JOBS)
    ]
    await store.enqueue(jobs)
    queues = [f"q{number}" for number in range(LANES)]

    taken = [claim.envelope.id for _ in range(3) for claim in await stage.take(JOBS // 3, queues=queues)]

    assert taken == [job.id for job in sorted(jobs, key=lambda job: -job.priority)]


@pytest.mark.usefixtures("small_shares")
async def test_what_is_past_its_time_is_passed_over_however_much_it_is(
    store: SqliteBackend, stage: Stage
) -> None:
    await stage.put(*[f"late{number}" for number in range(JOBS)], expires_at=stage.clock.now())
    await stage.put("fresh")

    assert [claim.envelope.id for claim in await stage.take(1)] == ["fresh"]
    assert (await store.counts())["default", Status.EXPIRED] == JOBS


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize(
    "keep",
    [Keep((Status.COMPLETED, Status.FAILED), 1e9, 40), Keep((Status.FAILED, Status.COMPLETED), 0.0, 1_000)],
)
async def test_pruning_takes_those_that_ended_first_of_all_lanes(
    store: SqliteBackend, stage: Stage, keep: Keep
) -> None:
    chance = Random(1)
    ended: list[str] = []
    for number in range(JOBS // 2):
        claim = await stage.start(f"j{number}", type=chance.choice(["work", "bulk"]))
        assert await stage.settle(claim, chance.choice([Status.COMPLETED, Status.FAILED]))
        ended.append(claim.envelope.id)
        await stage.clock.advance(chance.choice([0.0, 0.01]))

    removed = [await store.prune([keep], 20) for _ in range(5)]

    gone = [job_id for ids in removed for job_id in ids]
    assert all(len(ids) <= 20 for ids in removed)
    assert gone == ended[: len(gone)]
    assert len(gone) == (len(ended) if keep.age == 0 else len(ended) - 40)


async def test_lanes_and_pauses_of_another_process_are_seen_at_once(
    store: SqliteBackend, stage: Stage, opened: Opened, clock: ManualClock
) -> None:
    async with opened() as other:
        assert await stage.take() == []
        await Stage(other, clock).put("a")
        assert [claim.envelope.id for claim in await stage.take(1)] == ["a"]
        await Stage(other, clock).put("b")
        await other.pause_queue("default")
        assert await stage.take() == []
        await other.resume_queue("default")
        assert [claim.envelope.id for claim in await stage.take()] == ["b"]


async def test_a_lane_whose_first_job_was_refused_is_not_remembered(
    store: SqliteBackend, stage: Stage
) -> None:
    with pytest.raises(Exception, match="cannot store"):
        await stage.put("a", queue="new", priority=2**70)

    await stage.put("b", queue="new")

    assert [claim.envelope.id for claim in await stage.take(queues=["new"])] == ["b"]
    assert [queue.name for queue in await store.queues()] == ["new"]


async def test_a_job_in_a_lane_that_another_process_made_can_be_cancelled(
    store: SqliteBackend, stage: Stage, opened: Opened, clock: ManualClock
) -> None:
    async with opened() as other:
        await Stage(other, clock).put("a", queue="elsewhere")

        assert [answer.done for answer in await store.cancel(["a"])] == [True]

    assert [event.queue for event in await stage.events()] == ["elsewhere", "elsewhere"]


async def test_any_number_of_watches_may_claim(stage: Stage) -> None:
    await stage.put("a", queue="q99")

    taken = [await stage.take(queues=[f"q{number}"]) for number in range(100)]

    assert [len(claims) for claims in taken] == [0] * 99 + [1]
