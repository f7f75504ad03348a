from collections.abc import AsyncIterator

import pytest

from aiojobs_engine.backends.memory import MemoryBackend
from aiojobs_engine.core.errors import BackendFull, BackendUnavailable
from aiojobs_engine.core.events import JobEvent
from aiojobs_engine.core.state import Status
from aiojobs_engine.ports.backend import Enqueued, Store
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from aiojobs_engine.testing.faults import FaultyBackend


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyBackend]:
    faulty = FaultyBackend(MemoryBackend(clock=ManualClock()))
    await faulty.open()
    yield faulty
    await faulty.close()


@pytest.fixture
def stage(faulty: FaultyBackend) -> Stage:
    store: Store = faulty
    return Stage(store, ManualClock())


async def test_without_a_cue_it_does_what_the_store_does(stage: Stage) -> None:
    await stage.put("a")

    assert (await stage.take_one()).envelope.id == "a"


async def test_a_call_that_fails_before_takes_no_effect(faulty: FaultyBackend, stage: Stage) -> None:
    faulty.fail("enqueue")

    with pytest.raises(BackendUnavailable, match="before"):
        await stage.put("a")

    assert await stage.backend.get(["a"]) == [None]


async def test_a_call_that_fails_after_took_effect_and_can_be_repeated(
    faulty: FaultyBackend, stage: Stage
) -> None:
    faulty.fail("enqueue", after=True)

    with pytest.raises(BackendUnavailable, match="after"):
        await stage.put("a")

    assert await stage.put("a") == [Enqueued("a", created=False)]


async def test_a_settlement_whose_answer_was_lost_is_accepted_again(
    faulty: FaultyBackend, stage: Stage
) -> None:
    claim = await stage.start("a")
    faulty.fail("settle", after=True)
    with pytest.raises(BackendUnavailable):
        await stage.settle(claim, Status.COMPLETED)

    assert await stage.settle(claim, Status.COMPLETED)

    assert await stage.told("a") == ["JobCreated", "JobStarted", "JobCompleted"]


async def test_the_cue_counts_calls_from_now(faulty: FaultyBackend, stage: Stage) -> None:
    await stage.put("a")
    faulty.fail("enqueue", call=2, times=2)

    answers: list[bool] = []
    for job_id in ("b", "c", "d", "e"):
        try:
            await stage.put(job_id)
        except BackendUnavailable:
            answers.append(False)
        else:
            answers.append(True)

    assert answers == [True, False, False, True]
    assert (faulty.calls["enqueue"], faulty.cues_left) == (5, 0)


async def test_other_verbs_go_on(faulty: FaultyBackend, stage: Stage) -> None:
    await stage.put("a")
    faulty.fail("settle")

    await stage.take_one()

    assert faulty.cues_left == 1


async def test_any_error_of_a_store_can_be_played(faulty: FaultyBackend, stage: Stage) -> None:
    faulty.fail("enqueue", error=BackendFull("no room"))

    with pytest.raises(BackendFull, match="no room"):
        await stage.put("a")


async def test_a_tap_reaches_the_store_itself(faulty: FaultyBackend, stage: Stage) -> None:
    tapped: list[JobEvent] = []
    faulty.tap(tapped.extend)

    await stage.put("a")

    assert [event.job_id for event in tapped] == ["a"]


def test_a_verb_that_no_store_has_is_refused_with_the_nearest_one() -> None:
    faulty = FaultyBackend(MemoryBackend(clock=ManualClock()))

    with pytest.raises(ValueError, match="did you mean 'settle'"):
        faulty.fail("setle")
