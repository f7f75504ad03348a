"""The bus: one listener's trouble is nobody else's."""

import asyncio
import logging
import threading
from typing import Any

import pytest

from aiojobs_engine import (
    ConfigError,
    JobCompleted,
    JobCreated,
    JobEvent,
    JobFailed,
    JobStarted,
    JobStatusUpdated,
    Status,
)
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.events.bus import QUEUE, EventBus, Subscription, checked_classes
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing import ManualClock


def event(sort: type[JobEvent] = JobCompleted, /, **fields: Any) -> Any:
    given: dict[str, Any] = {
        "job_id": "a",
        "type": "add",
        "kind": "job",
        "queue": "default",
        "status": Status.COMPLETED,
        "processed": 0,
        "total": 0,
        "succeeded": 0,
        "failed": 0,
        "user_id": None,
        "attempt": 1,
        "at": Instant(0),
        "event_id": "1",
    }
    return sort(**given | fields)


def bus_of(*subscriptions: Subscription, clock: ManualClock | None = None) -> EventBus:
    bus = EventBus(clock or ManualClock(), start)
    for subscription in subscriptions:
        bus.add(subscription)
    return bus


class Noted:
    """An async listener that notes what it got."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def to(self, *classes: type[JobEvent], **filters: str) -> Subscription:
        async def note(event: JobEvent) -> None:
            self.events.append(event)

        return Subscription(call=note, classes=classes or (JobEvent,), **filters)


async def test_events_arrive_in_order() -> None:
    noted = Noted()
    bus = bus_of(noted.to())

    bus.publish([event(JobCreated), event(JobStarted)])
    bus.publish([event(JobCompleted)])
    await bus.close()

    assert [type(each) for each in noted.events] == [JobCreated, JobStarted, JobCompleted]


@pytest.mark.parametrize(
    "classes, filters, count",
    [
        ((JobCompleted,), {}, 1),
        ((JobCompleted, JobFailed), {}, 2),
        ((JobEvent,), {}, 3),
        ((JobEvent,), {"type": "other"}, 1),
        ((JobEvent,), {"kind": "import"}, 1),
        ((JobEvent,), {"queue": "mail"}, 1),
        ((JobFailed,), {"queue": "mail"}, 0),
    ],
)
async def test_a_listener_gets_what_fits(classes: Any, filters: dict[str, str], count: int) -> None:
    noted = Noted()
    bus = bus_of(noted.to(*classes, **filters))

    bus.publish([event(), event(JobFailed, type="other"), event(JobCreated, kind="import", queue="mail")])
    await bus.close()

    assert len(noted.events) == count


async def test_the_derived_event_follows_each_other_one() -> None:
    noted = Noted()
    bus = bus_of(noted.to(JobStatusUpdated))

    bus.publish([event(JobCreated, total=5), event(JobCompleted)])
    await bus.close()

    assert [(type(each), each.cause, each.total) for each in noted.events] == [
        (JobStatusUpdated, "JobCreated", 5),
        (JobStatusUpdated, "JobCompleted", 0),
    ]


async def test_one_that_raises_goes_on_and_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    noted, tries = Noted(), []

    async def broken(event: JobEvent) -> None:
        tries.append(event)
        raise ValueError("listener trouble")

    bus = bus_of(Subscription(call=broken, classes=(JobEvent,)), noted.to())
    bus.publish([event(), event()])
    await bus.close()

    assert (len(tries), len(noted.events)) == (2, 2)
    assert "listener trouble" in caplog.text
    assert "failed on JobCompleted of job a" in caplog.text


async def test_one_that_hangs_delays_nobody_and_loses_its_oldest(caplog: pytest.LogCaptureFixture) -> None:
    clock, noted, first = ManualClock(), Noted(), asyncio.Event()

    async def hanging(event: JobEvent) -> None:
        first.set()
        await asyncio.Event().wait()

    bus = bus_of(Subscription(call=hanging, classes=(JobEvent,)), noted.to(), clock=clock)
    bus.publish([event()])
    await first.wait()
    for _ in range(3):
        bus.publish([event() for _ in range(QUEUE // 2)])
        await clock.rest()

    assert len(noted.events) == 1 + 3 * QUEUE // 2
    assert [load.dropped for load in bus.loads.values()] == [QUEUE // 2, 0]
    assert [load.waiting for load in bus.loads.values()] == [QUEUE, 0]
    assert "too slow" in caplog.text
    closing = asyncio.get_running_loop().create_task(bus.close())
    await clock.advance(4.9)
    assert not closing.done()
    await clock.advance(0.2)
    await closing


async def test_the_newest_events_are_kept() -> None:
    release, got = asyncio.Event(), []

    async def slow(event: JobEvent) -> None:
        await release.wait()
        got.append(event.event_id)

    bus = bus_of(Subscription(call=slow, classes=(JobEvent,)))
    bus.publish([event(event_id=str(number)) for number in range(QUEUE + 10)])
    release.set()
    await bus.close()

    assert got == [str(number) for number in range(10, QUEUE + 10)]


async def test_a_plain_function_is_called_in_a_thread_one_event_at_a_time() -> None:
    names: list[str] = []

    def plain(event: JobEvent) -> None:
        names.append(threading.current_thread().name)

    bus = bus_of(Subscription(call=plain, classes=(JobEvent,)))
    bus.publish([event(), event()])
    await bus.close()

    assert len(names) == 2
    assert threading.current_thread().name not in names


async def test_a_plain_function_that_gives_an_awaitable_is_awaited() -> None:
    noted = Noted()
    inner = noted.to().call

    def plain(event: JobEvent) -> object:
        return inner(event)

    bus = bus_of(Subscription(call=plain, classes=(JobEvent,)))

    bus.publish([event()])
    await bus.close()

    assert len(noted.events) == 1


async def test_no_task_lives_while_there_is_nothing_to_tell() -> None:
    clock, noted = ManualClock(), Noted()
    bus = bus_of(noted.to(), clock=clock)
    before = len(asyncio.all_tasks())

    bus.publish([event()])
    await clock.rest()

    assert len(noted.events) == 1
    assert len(asyncio.all_tasks()) == before


async def test_a_listener_that_comes_later_hears_from_then_on() -> None:
    early, late = Noted(), Noted()
    bus = bus_of(early.to())

    bus.publish([event()])
    bus.add(late.to())
    bus.publish([event()])
    await bus.close()

    assert (len(early.events), len(late.events)) == (2, 1)


@pytest.mark.parametrize("wrong", [int, "JobCompleted", event()], ids=["class", "name", "event"])
def test_what_is_no_class_of_events_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="classes of events"):
        checked_classes([wrong])


def test_no_class_means_all() -> None:
    assert checked_classes([]) == (JobEvent,)
    assert logging.getLogger("aiojobs_engine").handlers == []
