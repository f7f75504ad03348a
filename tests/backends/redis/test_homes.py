"""A store in several homes: what each holds, what leads to it, and what is refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.crc import key_slot

from aiojobs_engine import Engine, Status
from aiojobs_engine.backends.redis import RedisBackend, SpreadBackend, open_redis
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.backends.redis.spread.control import shared
from aiojobs_engine.backends.redis.spread.placement import home_tags
from aiojobs_engine.core.errors import BackendUnavailable, ConfigError
from aiojobs_engine.core.needs import BATCH, Need
from aiojobs_engine.core.schedule import CronSpec
from aiojobs_engine.lifetime.hosting import hosted
from aiojobs_engine.ports.backend import Claim, JobFilter, Keep, Watch, WorkerRecord
from aiojobs_engine.ports.cron import CronEntry
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.runtime.task_group import start
from aiojobs_engine.testing.clock import ManualClock
from aiojobs_engine.testing.conformance.stage import Stage
from tests.backends.redis.homes_scene import QUEUES, homes, spread
from tests.servers.groups import Cluster

BOUND = 30
ALL = Watch("w1", QUEUES, ("work",))


@pytest.fixture
async def stage(valkey_url: str) -> AsyncIterator[Stage]:
    async with homes(valkey_url) as stage:
        yield stage


async def take(stage: Stage, limit: int = 100, ahead: int = 0) -> list[Claim]:
    return await stage.backend.claim(ALL, limit, 30, ahead)


@pytest.mark.parametrize("first, then", [(1, 4), (4, 1), (4, 3)])
async def test_a_store_is_opened_in_as_many_homes_as_it_was_made(
    valkey_url: str, first: int, then: int
) -> None:
    maker = open_redis(f"{valkey_url}&homes={first}", clock=SystemClock())
    await maker.open()
    await maker.close()
    other = open_redis(f"{valkey_url}&homes={then}", clock=SystemClock())

    with pytest.raises(ConfigError, match=rf"homes={first}, but .* says {then}: say homes={first}"):
        await other.open()


async def test_a_store_with_jobs_that_says_nothing_lies_in_one_home(valkey_url: str) -> None:
    old = RedisBackend(read_address(valkey_url), clock=SystemClock())
    await old.open()
    await Stage(old, ManualClock()).put("a")
    await old.client.command("HDEL", f"{old.key_of('meta')}", "homes")
    await old.close()
    other = open_redis(f"{valkey_url}&homes=2", clock=SystemClock())

    with pytest.raises(ConfigError, match="homes=1"):
        await other.open()


@pytest.mark.parametrize("number", ["0", "257", "many"])
def test_a_number_of_homes_that_can_not_be_is_refused(number: str) -> None:
    with pytest.raises(ConfigError, match="homes"):
        read_address(f"redis://localhost?homes={number}")


@pytest.mark.parametrize("number", [2, 3, 7, 256])
def test_homes_lie_at_even_distances_around_the_slots(number: int) -> None:
    first, *others = [key_slot(tag.encode()) for tag in home_tags("mine", number)]
    apart = [(slot - first) % 16384 - index * 16384 // number for index, slot in enumerate(others, 1)]

    assert all(abs(each) <= 24 for each in apart)


@pytest.mark.parametrize("prefix", ["aiojobs", "shop", "mine"])  # of few others do two lie by an edge
async def test_three_homes_lie_on_three_servers_of_a_cluster(cluster: Cluster, prefix: str) -> None:
    owners = {cluster.owner(key_slot(tag.encode())).port for tag in home_tags(prefix, 3)}

    assert len(owners) == 3


async def test_the_jobs_of_a_queue_lie_in_one_home_and_those_of_others_elsewhere(stage: Stage) -> None:
    for queue in QUEUES:
        await stage.put(f"{queue}1", f"{queue}2", queue=queue)

    assert await spread(stage) == [2, 2, 2, 2]
    assert sorted(claim.envelope.queue for claim in await take(stage)) == sorted(QUEUES * 2)


async def test_a_claim_is_filled_from_several_homes_and_the_last_of_it_wait(stage: Stage) -> None:
    for queue in QUEUES:
        await stage.put(*[f"{queue}{number}" for number in range(5)], queue=queue)

    claims = await take(stage, 12, ahead=4)

    assert len(claims) == 12
    await stage.clock.advance(31)
    lost = {claim.envelope.id: claim.has_started for claim in await stage.backend.rescue("w2", 100, 30)}
    assert lost == {claim.envelope.id: number < 8 for number, claim in enumerate(claims)}


async def test_a_claim_asks_another_home_first_each_time(stage: Stage) -> None:
    for queue in QUEUES:
        await stage.put(*[f"{queue}{number}" for number in range(8)], queue=queue)

    queues = [{claim.envelope.queue for claim in await take(stage, 4)} for _ in QUEUES]

    assert sorted(queue for (queue,) in queues) == sorted(QUEUES)


async def test_leases_lead_to_their_homes(stage: Stage) -> None:
    for queue in QUEUES:
        await stage.put(queue, queue=queue)
    claims = await take(stage)

    held = await stage.backend.extend([claim.lease for claim in claims], 60)
    assert [status.held for status in held] == [True] * 4
    half = [stage.settlement(claim, Status.COMPLETED) for claim in claims[:2]]
    assert await stage.backend.settle(half) == [True, True]
    held = await stage.backend.extend([claim.lease for claim in claims], 60)
    assert [status.held for status in held] == [False, False, True, True]


async def test_what_one_home_gave_is_kept_when_another_is_away(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.put("a", queue="default")

    tries: list[object] = []

    async def away(*_: object) -> list[Claim]:
        tries.append(_)
        raise BackendUnavailable("no server")

    store = stage.backend
    assert isinstance(store, SpreadBackend)
    for number in (0, 1, 3):
        monkeypatch.setattr(store._stores[number], "claim", away)
        monkeypatch.setattr(store._stores[number], "rescue", away)

    assert [claim.envelope.id for claim in await take(stage)] == ["a"]
    with pytest.raises(BackendUnavailable, match="no server"):
        await take(stage)
    assert len(tries) == 3
    await stage.clock.advance(10)
    with pytest.raises(BackendUnavailable, match="no server"):
        await take(stage)
    assert len(tries) == 6
    await stage.clock.advance(21)
    assert [claim.envelope.id for claim in await store.rescue("w2", 10, 30)] == ["a"]
    with pytest.raises(BackendUnavailable):
        await store.rescue("w2", 10, 30)


async def test_an_idle_worker_asks_a_home_when_its_bell_rings_and_no_other(stage: Stage) -> None:
    client, store = stage.backend.client, stage.backend  # type: ignore[attr-defined]
    await stage.put("first")
    assert len(await take(stage)) == 1
    waiting = start(store.wait(ALL, 3600), name="waiting")
    assert not await stage.ends_within(waiting, 1)
    before = client.commands

    await stage.put("0" * 27, queue="default")
    await asyncio.wait_for(waiting, BOUND)
    assert client.commands - before == 2  # the job, and one look at its home
    assert [claim.envelope.id for claim in await take(stage, 1)] == ["0" * 27]
    assert await take(stage) == []
    assert client.commands - before == 4  # two claims from that home

    again = start(store.wait(ALL, 3600), name="waiting")
    assert not await stage.ends_within(again, 1)
    assert client.commands - before == 5
    again.cancel()
    await asyncio.wait([again])


async def test_what_this_process_brought_is_claimed_before_its_bell_rings(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = stage.backend
    assert isinstance(store, SpreadBackend)
    await stage.put("due", queue="b", scheduled_at=stage.after(10))
    await stage.put("paused", queue="default")
    await store.pause_queue("default")
    await stage.put("other", queue="other")
    (other,) = await take(stage)
    await stage.clock.advance(10)
    monkeypatch.setattr(store._bell, "_ring", lambda _: None)

    for name, bring in (
        ("new", stage.put("new", queue="q1")),
        ("other", stage.settle(other, Status.PENDING)),
        ("due", store.promote(10)),
        ("paused", store.resume_queue("default")),
    ):
        await store.wait(ALL, 0)  # all homes are quiet from here on
        assert await take(stage) == []
        await bring
        assert [claim.envelope.id for claim in await take(stage)] == [name]


async def test_a_job_in_each_home_is_found_by_another_client(stage: Stage, valkey_url: str) -> None:
    for queue in QUEUES:
        await stage.put(queue, queue=queue)
    async with homes(valkey_url, clock=stage.clock) as other:
        assert await other.is_at(*QUEUES) == [Status.PENDING] * 4
        assert [each.done for each in await other.backend.cancel([*QUEUES, "x"])] == [True] * 4 + [False]
        assert [each is None for each in await other.backend.get(["x", "default"])] == [True, False]
        assert await other.backend.retry(["other", "x"]) == [True, False]
        assert await other.backend.delete(["x", "default", "b"]) == [False, True, True]
    assert [each is None for each in await stage.backend.get(list(QUEUES))] == [True, False, False, True]


async def test_a_chosen_id_is_taken_in_all_homes(stage: Stage) -> None:
    await stage.put("a", queue="default")

    (answer,) = await stage.put("a", queue="other")

    assert (answer.created, answer.conflict) == (False, True)
    assert sum(await spread(stage)) == 1


async def test_jobs_that_are_bound_to_each_other_lie_in_one_home(stage: Stage) -> None:
    chain = [
        stage.envelope("one", queue="default"),
        stage.envelope("two", queue="other", needs=(Need("one"),)),
        stage.envelope("three", queue="b", needs=(Need("two"),)),
    ]
    await stage.backend.enqueue(chain)
    await stage.backend.enqueue([stage.envelope("four", queue="q1", needs=(Need("three"),))])
    assert await spread(stage) == [0, 0, 4, 0]

    done: list[str] = []
    while claims := await take(stage):
        done += [claim.envelope.id for claim in claims]
        for claim in claims:
            await stage.settle(claim, Status.COMPLETED)

    assert done == ["one", "two", "three", "four"]
    assert [answer.created for answer in await stage.backend.enqueue(chain)] == [False] * 3


async def test_a_batch_takes_members_of_every_queue_into_its_home(stage: Stage) -> None:
    await stage.backend.enqueue(
        [stage.envelope("all", kind=BATCH), stage.envelope("m1", queue="other", parent_id="all")]
    )
    await stage.put("m2", queue="b", parent_id="all")

    for claim in await take(stage):
        await stage.settle(claim, Status.COMPLETED)

    job = await stage.status("all")
    assert (job.status, job.succeeded, job.total) == (Status.COMPLETED, 2, 2)


async def test_no_job_is_bound_to_jobs_in_two_homes(stage: Stage) -> None:
    await stage.put("a", queue="default")
    await stage.put("b", queue="other")

    with pytest.raises(ConfigError, match="'a' and 'b' lie in different homes"):
        await stage.put("c", needs=(Need("a"), Need("b")))
    (answer,) = await stage.put("c", needs=(Need("a"), Need("gone")))
    assert answer.missing == "gone"
    assert await stage.backend.get(["c"]) == [None]


async def test_a_listing_goes_by_the_time_of_dispatch_across_homes(stage: Stage) -> None:
    names = [f"{queue}{number}" for number in range(6) for queue in QUEUES]
    for name in names:
        await stage.put(name, queue=name[:-1])
        await stage.clock.advance(0.001)

    for page in (1, 5, 7, 24, 100):
        assert [job.id for job in await stage.all_jobs(page=page)] == names[::-1]
    assert [job.id for job in await stage.all_jobs(JobFilter(queue="b"), page=4)] == [
        f"b{number}" for number in range(5, -1, -1)
    ]
    for cursor in ("", "1", "1.2.3", "x.1.1.1", "1.2.3.4.5"):
        with pytest.raises(ConfigError):
            await stage.backend.find(JobFilter(), 10, cursor)


async def test_events_of_all_homes_are_one_stream_and_none_is_passed_over(stage: Stage) -> None:
    seen: list[str] = []
    cursor = await stage.backend.tail()
    for number in range(4):  # in one millisecond, and against the order of the homes
        for queue in ("other", "default", "b", "q1"):
            await stage.put(f"{queue}{number}", queue=queue)
            events, cursor = await stage.backend.read(cursor, 100)
            seen += [event.job_id for event in events]

    assert seen == [f"{queue}{number}" for number in range(4) for queue in ("other", "default", "b", "q1")]
    events = await stage.events()
    assert [event.job_id for event in events] == seen
    for number, event in enumerate(events, 1):
        assert await stage.events(event.cursor) == events[number:]


async def test_a_long_stream_is_read_in_slices(stage: Stage) -> None:
    for queue in QUEUES:
        for part in range(3):
            await stage.put(*[f"{queue}-{part}-{number}" for number in range(100)], queue=queue)
    whole = [event.event_id for event in await stage.events()]
    sliced: list[str] = []
    cursor: str | None = None
    while True:
        events, after = await stage.backend.read(cursor, 7)
        sliced += [event.event_id for event in events]
        if after == cursor:
            break
        cursor = after

    assert len(whole) == len(set(whole)) == 1200
    assert sliced == whole


async def test_fences_do_not_pile_up_where_nothing_happens(stage: Stage) -> None:
    store = stage.backend
    assert isinstance(store, SpreadBackend)
    for number in range(20):
        await stage.put(f"a{number}", queue="other")
        await stage.events()
        await stage.clock.advance(0.01)

    lengths = [await store.client.command("XLEN", each.key_of("events")) for each in store._stores]
    assert lengths[3] == 20
    assert max(lengths[:3]) <= 1


async def test_a_wait_for_events_hears_every_home(stage: Stage) -> None:
    for queue in QUEUES:
        tail = await stage.backend.tail()
        waiting = start(stage.backend.wait_events(tail, 3600), name="waiting")
        assert not await stage.ends_within(waiting, 0.2)
        await stage.put(queue, queue=queue)
        await asyncio.wait_for(waiting, BOUND)


async def test_a_pause_reaches_the_jobs_of_a_queue_in_every_home(stage: Stage) -> None:
    await stage.backend.enqueue(
        [stage.envelope("one"), stage.envelope("two", queue="other", needs=(Need("one"),))]
    )
    await stage.put("three", queue="other")
    await stage.settle((await stage.take())[0], Status.COMPLETED)
    await stage.backend.pause_queue("other")

    assert await take(stage) == []
    (stats,) = [each for each in await stage.backend.queues() if each.name == "other"]
    assert (stats.paused, dict(stats.counts)) == (True, {"pending": 2})

    await stage.backend.resume_queue("other")
    assert {claim.envelope.id for claim in await take(stage)} == {"two", "three"}


async def test_a_number_to_keep_is_shared_by_the_homes(stage: Stage) -> None:
    for queue, number in (("default", 6), ("other", 3), ("b", 3)):
        await stage.put(*[f"{queue}{each}" for each in range(number)], queue=queue)
    for claim in await take(stage):
        await stage.settle(claim, Status.COMPLETED)

    removed = await stage.backend.prune([Keep((Status.COMPLETED,), 3600, 8)], 100)

    assert len(removed) == 4
    assert await spread(stage) == [0, 2, 4, 2]


@pytest.mark.parametrize(
    "most, sizes, shares",
    [
        (7, [3, 4], [7, 7]),
        (5, [10, 10], [2, 3]),
        (0, [3, 0], [0, 0]),
        (7, [0, 100, 1], [0, 6, 1]),
        (1, [], []),
    ],
)
def test_shares_add_up_unless_all_may_stay(most: int, sizes: list[int], shares: list[int]) -> None:
    assert shared(most, sizes) == shares


async def test_a_worker_that_left_or_fell_silent_leaves_no_claims_behind(stage: Stage) -> None:
    store = stage.backend
    assert isinstance(store, SpreadBackend)

    async def claimers() -> list[set[bytes]]:
        return [
            set(await store.client.command("HGETALL", each.key_of("claims")))[::2] for each in store._stores
        ]

    async def beat(name: str) -> None:
        now = stage.clock.now()
        record = WorkerRecord(
            id=name, host="h", pid=1, queues=QUEUES, slots=1, running=0, started_at=now, beat_at=now
        )
        await store.beat(record)

    for worker in ("w1", "w2"):
        await beat(worker)
        for queue in QUEUES:
            await stage.put(f"{worker}{queue}", queue=queue)
        assert len(await store.claim(Watch(worker, QUEUES, ("work",)), 10, 600)) == 4
    await store.leave("w2")
    assert [worker.id for worker in await store.workers()] == ["w1"]
    await stage.clock.advance(61)
    await beat("w3")

    assert [worker.id for worker in await store.workers()] == ["w3"]
    for each in store._stores:
        assert await store.client.command("HGETALL", each.key_of("claims")) == []


async def test_a_cron_entry_lies_with_its_queue_and_stays_when_that_changes(stage: Stage) -> None:
    entry = CronEntry(
        name="nightly", spec=CronSpec(expression="0 3 * * *"), job=stage.envelope("", queue="other")
    )
    assert await stage.backend.put_crons([entry]) == [True]
    moved = CronEntry(
        name="nightly", spec=CronSpec(expression="0 4 * * *"), job=stage.envelope("", queue="b")
    )

    version = await stage.backend.crons_version()
    assert await stage.backend.put_crons([moved]) == [True]
    assert await stage.backend.crons_version() != version
    assert [record.entry.job.queue for record in await stage.backend.crons()] == ["b"]
    assert await stage.backend.enable_crons(["nightly", "none"], is_enabled=False) == [True, False]
    assert await stage.backend.remove_crons(["nightly"]) == [True]
    assert await stage.backend.crons() == []


async def test_cron_entries_that_depend_on_each_other_share_a_home(stage: Stage) -> None:
    def entry(name: str, queue: str, *after: str) -> CronEntry:
        job = stage.envelope("", queue=queue)
        return CronEntry(name=name, spec=CronSpec(expression="0 3 * * *"), job=job, depends_on=after)

    store = stage.backend
    assert isinstance(store, SpreadBackend)
    await store.put_crons([entry("second", "default", "first"), entry("first", "other"), entry("alone", "b")])
    await store.put_crons([entry("later", "q1", "to-come")])
    await store.put_crons([entry("to-come", "other")])

    names = [[record.entry.name for record in await each.crons()] for each in store._stores]
    assert names == [["later", "to-come"], ["alone"], ["first", "second"], []]
    with pytest.raises(ConfigError, match="'alone' depends on 'first', which lies in another home"):
        await store.put_crons([entry("alone", "b", "first")])


async def test_max_events_of_the_url_bounds_each_home(valkey_url: str) -> None:
    async with homes(f"{valkey_url}&max_events=100") as stage:
        for part in range(50):
            await stage.put(*[f"{part}-{number}" for number in range(100)])

        assert 100 <= len(await stage.events()) <= 5000 - 500


async def test_an_engine_works_in_several_homes(valkey_url: str) -> None:
    engine, seen = Engine(f"{valkey_url}&homes=4"), list[str]()

    @engine.job(name="note")
    async def note(name: str) -> str:
        seen.append(name)
        return name

    async with (
        asyncio.timeout(BOUND),
        engine,
        hosted(lambda entered: engine.worker(queues=QUEUES, on_entered=entered)),
    ):
        handles = await engine.dispatch_many(
            note.options(queue=queue).job(f"{queue}{number}") for queue in QUEUES for number in range(50)
        )
        last = await engine.dispatch(
            note.options(queue="other").job("first") | note.options(queue="b").job("last")
        )
        assert [await handle.result() for handle in handles[::40]] == [
            f"{queue}{number}"
            for queue, number in [("default", 0), ("default", 40), ("other", 30), ("q1", 20), ("b", 10)]
        ]
        assert await last.result() == "last"

    assert len(seen) == 202
