"""What a handler sees of its run, and what it writes through it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiojobs_engine.core.config import Settings
from aiojobs_engine.core.errors import ConfigError, LeaseLostError
from aiojobs_engine.core.events import JobProgressed
from aiojobs_engine.core.instant import Instant
from aiojobs_engine.core.status import Counters
from aiojobs_engine.ports.backend import Claim, Record
from aiojobs_engine.runtime.context import (
    JobContext,
    Middleware,
    NoCurrentJob,
    StopAtCheckpoint,
    current_job,
    enter_context,
)
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.clock import ManualClock
from tests.unit.runs import claim


class Port:
    """The worker around a run: it keeps what is recorded."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.records: list[Record] = []
        self.touched: list[str] = []
        self.is_lost = False
        self.logger = logging.getLogger("aiojobs_engine.jobs")
        self.resources: Any = "resources"
        self.engine: Any = "engine"
        self.storage: Any = None
        self.settings = Settings()
        self.middleware: Sequence[Middleware] = ()

    def now(self) -> Instant:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def record(self, record: Record) -> None:
        if self.is_lost:
            raise LeaseLostError(record.lease.job_id)
        self.records.append(record)

    async def in_thread(self, context: JobContext, call: Callable[[], Any]) -> Any:
        return call()

    async def in_process(self, fn: Callable[..., Any], payload: bytes) -> Any:
        raise OSError

    def touch(self, claim: Claim) -> None:
        self.touched.append(claim.envelope.id)


def context_of(port: Port | None = None, **fields: Any) -> JobContext:
    return JobContext(claim(**fields), port or Port())


def shown(port: Port) -> list[tuple[int, int]]:
    return [(record.counters.succeeded, record.counters.total) for record in port.records if record.counters]


def test_a_context_shows_the_facts_of_its_claim() -> None:
    envelope = {"user_id": 7, "meta": {"page": 2}, "tags": ("nightly",), "queue": "mail"}
    context = context_of(envelope=envelope, token=5, attempts=3, crashes=1, cursor=b'{"row":[1]}')

    assert (context.id, context.type, context.queue) == ("job", "work", "mail")
    assert (context.attempt, context.crashes, context.token) == (4, 1, 5)
    assert (context.user_id, context.meta, context.tags) == (7, {"page": 2}, ("nightly",))
    assert (context.idempotency_key, context.cursor) == ("job", {"row": [1]})
    assert (context.engine, context.resources) == ("engine", "resources")


def test_records_of_its_logger_carry_the_job(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        context_of(attempts=1).logger.info("hello")

    (record,) = caplog.records
    assert (vars(record)["job_id"], vars(record)["job_type"], vars(record)["attempt"]) == ("job", "work", 2)


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 100), st.none() | st.integers(0, 100), st.floats(0, 1)), max_size=30
    )
)
async def test_progress_is_stored_at_most_four_times_a_second_and_never_out_of_bounds(
    steps: list[tuple[int, int | None, float]],
) -> None:
    port = Port()
    context = context_of(port)
    stored_at: list[float] = []
    for done, total, pause in steps:
        before = len(port.records)
        await context.progress(done, total)
        is_last = total is not None and done >= total
        if len(port.records) > before and not is_last:
            stored_at.append(port.monotonic())
        assert len(port.records) > before or not is_last
        await port.clock.advance(pause)

    assert all(later - sooner >= 0.25 - 1e-5 for sooner, later in pairwise(stored_at))
    assert all(done <= total for done, total in shown(port))
    if steps:
        assert context.final_counters is not None
        assert context.final_counters.succeeded == steps[-1][0]


async def test_what_was_reported_before_stays_until_something_else_is_said() -> None:
    port = Port()
    context = context_of(port)
    await context.progress(1, 10, "first")
    await port.clock.advance(1)
    await context.progress(2)
    await port.clock.advance(1)
    await context.progress(20)

    assert shown(port) == [(1, 10), (2, 10), (20, 20)]
    assert [record.message for record in port.records] == ["first"] * 3
    assert [type(record.event) for record in port.records] == [JobProgressed] * 3
    assert context.message == "first"


def test_a_run_that_reported_nothing_has_no_counters_to_settle_with() -> None:
    assert context_of(counters=Counters(5, 0, 0, 9)).final_counters is None


async def test_whole_numbers_of_any_kind_count() -> None:
    class Index:
        def __index__(self) -> int:
            return 3

    port = Port()
    await context_of(port).progress(Index(), 5)  # type: ignore[arg-type]

    assert shown(port) == [(3, 5)]


async def test_a_checkpoint_keeps_its_value_and_the_progress_and_starts_the_deadline_anew() -> None:
    port = Port()
    context = context_of(port)
    await context.progress(3, 9)
    await context.checkpoint({"row": 3})

    last = port.records[-1]
    assert last.cursor is not None
    assert msgspec.json.decode(last.cursor) == {"row": 3}
    assert last.counters == Counters(3, 0, 0, 9)
    assert context.cursor == {"row": 3}
    assert port.touched == ["job"]


async def test_while_the_worker_stops_a_checkpoint_is_the_last_thing_that_a_run_does() -> None:
    port = Port()
    context = context_of(port)
    context.stopping = True
    with pytest.raises(StopAtCheckpoint):
        await context.checkpoint(1)

    assert len(port.records) == 1


async def test_a_run_whose_lease_is_lost_learns_it_from_what_it_reports() -> None:
    port = Port()
    port.is_lost = True
    context = context_of(port)
    with pytest.raises(LeaseLostError):
        await context.progress(1, 1)
    with pytest.raises(LeaseLostError):
        await context.checkpoint(1)

    assert port.touched == []


async def _each(items: Iterable[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


@pytest.mark.parametrize(
    "make, total",
    [(list, 5), (tuple, 5), (iter, None), (_each, None)],
    ids=["list", "tuple", "iterator", "async"],
)
async def test_tracked_items_are_the_same_items_with_progress(
    make: Callable[[Iterable[int]], Any], total: int | None
) -> None:
    port = Port()
    context = context_of(port)
    seen: list[int] = []
    async for item in context.track(make(range(5))):
        await port.clock.advance(1)
        seen.append(item)

    assert seen == list(range(5))
    assert shown(port) == [(done, total or done) for done in range(1, 6)]


def test_a_job_without_rows_has_none_that_could_fail() -> None:
    with pytest.raises(ConfigError, match="for the rows of an importer"):
        context_of().fail_row({}, "wrong")


def test_outside_of_a_handler_no_job_is_the_current_one() -> None:
    with pytest.raises(NoCurrentJob, match="inside a handler"):
        current_job()


async def test_each_task_and_what_it_starts_has_its_own_current_job() -> None:
    seen: dict[str, str] = {}
    together = asyncio.Barrier(3)

    async def inner(name: str) -> None:
        seen[name] = current_job().id

    async def run(name: str) -> None:
        enter_context(context_of(job_id=name))
        await together.wait()
        await start(inner(name), name)

    await asyncio.gather(*(start(run(name), name) for name in ("a", "b", "c")))

    assert seen == {"a": "a", "b": "b", "c": "c"}
    with pytest.raises(NoCurrentJob):
        current_job()
