"""Cron as users have it: the decorator, the desk, the worker, and tests of their own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiojobs_engine import ConfigError, Engine, JobRegistry, PayloadError, Status, UnknownJobType
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing import TestEngine
from aiojobs_engine.testing.clock import ManualClock
from tests.cases.stores import KINDS, make_store

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class App:
    """An engine on a clock that the test moves."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.engine = Engine(backend=store, clock=clock, config={"listeners": {"log": False}})
        self.seen: list[int] = []

        @self.engine.cron("*/5 * * * *", tz="Europe/Berlin", name="five", args={"number": 5}, queue="mail")
        async def five(number: int) -> None:
            self.seen.append(number)

        self.five = five


@pytest.fixture(params=KINDS)
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[App]:
    made = App(*make_store(request.param, tmp_path))
    async with made.engine:
        yield made


async def test_a_worker_fires_entries_in_code(app: App) -> None:
    worker = app.engine.worker()
    task = start(worker.run(), "worker")

    await app.clock.advance(601)
    worker.stop()
    await app.clock.advance(60)
    await task

    assert app.seen == [5, 5]
    runs = (await app.engine.cron.history("five")).items
    assert [(run.at.minute, run.outcome, run.status) for run in runs] == [
        (10, "fired", Status.COMPLETED),
        (5, "fired", Status.COMPLETED),
    ]


async def test_a_worker_without_cron_fires_nothing(app: App) -> None:
    worker = app.engine.worker(cron=False)
    task = start(worker.run(), "worker")

    await app.clock.advance(601)
    worker.stop()
    await app.clock.advance(60)
    await task

    assert app.seen == []


async def test_an_entry_in_code_is_listed_before_any_worker_has_announced_it(app: App) -> None:
    (status,) = (await app.engine.cron.list()).items

    assert (status.name, status.expression, status.tz, status.type) == (
        "five",
        "*/5 * * * *",
        "Europe/Berlin",
        "five",
    )
    assert (status.queue, status.enabled, status.in_code, status.last) == ("mail", True, True, None)
    assert status.next_at == NEW_YEAR + timedelta(minutes=5)


async def test_an_added_entry_is_stored_changed_and_removed(app: App) -> None:
    added = await app.engine.cron.add("more", "@daily", app.five, args={"number": 1}, priority=3)
    assert (added.expression, added.in_code, added.queue) == ("0 0 * * *", False, "mail")

    await app.engine.cron.add("more", "@hourly", "five", args={"number": 2}, overlap="queue")
    names = [(status.name, status.expression) async for status in app.engine.cron.list()]
    assert names == [("five", "*/5 * * * *"), ("more", "0 * * * *")]

    await app.engine.cron.remove("more")
    assert [status.name async for status in app.engine.cron.list()] == ["five"]


@pytest.mark.seed("DJ-197")
async def test_run_now_dispatches_the_job_of_a_disabled_entry_too(app: App) -> None:
    assert await app.engine.cron.disable("five") == 1

    handle = await app.engine.cron.run_now("five")

    status = await handle.status()
    assert (status.status, status.type, status.queue) == (Status.PENDING, "five", "mail")
    (run,) = (await app.engine.cron.history("five")).items
    assert (run.outcome, run.job_id) == ("by_hand", handle.id)
    (entry,) = (await app.engine.cron.list()).items
    assert (entry.enabled, entry.next_at) == (False, None)


@pytest.mark.seed("DJ-196")
async def test_all_entries_are_disabled_and_enabled_at_once(app: App) -> None:
    await app.engine.cron.add("more", "@daily", "five", args={"number": 1})

    assert await app.engine.cron.disable() == 2
    assert [status.enabled async for status in app.engine.cron.list()] == [False, False]
    assert await app.engine.cron.enable() == 2
    assert [status.enabled async for status in app.engine.cron.list()] == [True, True]


async def test_a_preview_shows_the_next_instants_in_the_zone_of_the_entry(app: App) -> None:
    shown = await app.engine.cron.preview("five", 2)

    assert [each.isoformat() for each in shown] == ["2026-01-01T01:05:00+01:00", "2026-01-01T01:10:00+01:00"]


async def test_a_late_entry_makes_the_health_bad(app: App) -> None:
    await app.engine.cron.add("more", "@hourly", "five", args={"number": 1})
    assert (await app.engine.health()).ok

    await app.clock.advance(3600 + 120)

    health = await app.engine.health()
    assert (health.ok, health.late_crons) == (False, ["more"])
    assert "'more' is late" in health.problems[0]


async def test_what_is_wrong_is_said_when_it_is_asked_for(app: App) -> None:
    cron = app.engine.cron
    with pytest.raises(ConfigError, match="no cron entry 'fife'; did you mean 'five'"):
        await cron.run_now("fife")
    await cron.enable("five")
    with pytest.raises(ConfigError, match="in code is named 'five'"):
        await cron.add("five", "@daily", "five", args={"number": 1})
    with pytest.raises(ConfigError, match="stands in code"):
        await cron.remove("five")
    with pytest.raises(UnknownJobType):
        await cron.add("more", "@daily", "nobody")
    with pytest.raises(PayloadError, match="number"):
        await cron.add("more", "@daily", "five")
    with pytest.raises(ConfigError, match="no option 'at'"):
        await cron.add("more", "@daily", "five", args={"number": 1}, at=NEW_YEAR)
    with pytest.raises(ConfigError, match="n is a number"):
        await cron.preview("five", 0)
    with pytest.raises(ConfigError, match="at most 90"):
        await cron.add("m" * 91, "@daily", "five", args={"number": 1})


@pytest.mark.parametrize(
    "expression, options, said",
    [
        ("0 0 31 2 *", {}, "never fires"),
        ("@daily", {"tz": "Europe/Pariss"}, "Europe/Paris"),
        ("@daily", {"missed": "all"}, "needs missed_within"),
        ("@daily", {"missed": "some"}, "missed is one of one, skip, all"),
        ("@daily", {"overlap": "queu"}, "did you mean 'queue'"),
        ("@daily", {"jitter": -1}, "at least 0"),
        ("@daily", {"start": NEW_YEAR.replace(tzinfo=None)}, "time zone"),
        ("@daily", {"start": NEW_YEAR, "end": NEW_YEAR - timedelta(1)}, "never fire"),
        ("@daily", {"environments": "production"}, "list of names"),
        ("@daily", {"id": "x"}, "no option 'id'"),
        ("@daily", {"expires": NEW_YEAR}, "time from each fire"),
        ("@daily", {"args": {"unknown": 1}}, "unknown"),
        ("@daily", {"quue": "mail"}, "did you mean 'queue'"),
    ],
)
def test_a_wrong_entry_is_refused_where_it_is_written(
    expression: str, options: dict[str, Any], said: str
) -> None:
    registry = JobRegistry()

    async def handler() -> None: ...

    with pytest.raises((ConfigError, PayloadError), match=said):
        registry.cron(expression, **options)(handler)


async def test_a_registry_brings_its_entries_along() -> None:
    registry = JobRegistry()

    @registry.cron("@hourly", name="clean")
    async def clean() -> None: ...

    engine = Engine("memory://")
    engine.include(registry)
    async with TestEngine(engine) as t:
        await t.advance(2 * 3600)

        assert len(t.assert_dispatched(clean)) == 2


async def test_a_test_of_a_user_sees_a_day_of_entries_at_their_moments() -> None:
    engine = Engine("memory://")
    moments: list[datetime] = []

    @engine.cron("30 2 * * *", tz="Europe/Berlin", name="nightly")
    async def nightly() -> None:
        moments.append(datetime.fromtimestamp(t.clock.now() / 1000, UTC))

    async with TestEngine(engine, start=datetime(2026, 3, 28, tzinfo=UTC)) as t:
        await t.advance(3 * 86_400)

    assert [f"{each:%d %H:%M}" for each in moments] == ["28 01:30", "29 01:00", "30 00:30"]


@pytest.mark.seed("DJ-198")
async def test_a_handler_that_takes_longer_than_the_interval_skips_a_fire() -> None:
    engine = Engine("memory://")

    @engine.cron("*/5 * * * *", name="slow", timeout=0)
    async def slow() -> None:
        await t.clock.sleep(420)

    async with TestEngine(engine, patience=0.1) as t:
        await t.advance(1320)
        outcomes = [run.outcome async for run in engine.cron.history("slow")]

    assert outcomes[::-1] == ["fired", "skipped", "fired", "skipped"]
