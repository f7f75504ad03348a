"""Servers that die, freeze, run full, fail over, or will not do what they are asked."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from aiojobs_engine import Engine, JobRegistry
from aiojobs_engine.backends.redis import RedisBackend
from aiojobs_engine.backends.redis.address import read_address
from aiojobs_engine.core.errors import BackendFull, BackendUnavailable, ConfigError
from aiojobs_engine.core.state import Status
from aiojobs_engine.runtime.system_clock import SystemClock
from aiojobs_engine.testing.clock import ManualClock
from tests.faults.redis_scene import persistent, staged
from tests.servers.groups import Cluster, Watched
from tests.servers.server import Server, until, valkey

LIFE = ["JobCreated", "JobStarted", "JobCompleted"]
RESTARTS = 3
SOON = 5.0


@pytest.fixture
def forgetful_server(tmp_path: Path) -> Iterator[Server]:
    """A Valkey without persistence."""
    with Server(valkey(), tmp_path / "forgetful") as server:
        yield server


@pytest.mark.case("R1")
async def test_a_restart_loses_no_acknowledged_job_and_work_goes_on_soon(own_server: Server) -> None:
    registry = JobRegistry()
    ran: dict[str, int] = {}
    loop = asyncio.get_running_loop()
    last_run = [loop.time()]

    @registry.job(name="work")
    async def work(number: str) -> None:
        ran[number] = ran.get(number, 0) + 1
        last_run[0] = loop.time()

    stored: list[str] = []
    is_over = asyncio.Event()

    async def produce(engine: Engine) -> None:
        while not is_over.is_set():
            number = str(len(stored))
            job = work.job(number=number)
            await persistent(partial(engine.dispatch, job))
            stored.append(number)

    async with (engine := Engine(f"{own_server.url}?retry_for=1", registry=registry)).running(worker=True):
        producing = asyncio.create_task(produce(engine))
        for _ in range(RESTARTS):
            seen = len(ran)
            await asyncio.to_thread(own_server.restart)
            accepted_at = loop.time()
            await asyncio.to_thread(until, lambda before=seen: len(ran) > before + 50, "work going on")
            assert last_run[0] - accepted_at < SOON
        is_over.set()
        await producing
        await asyncio.to_thread(until, lambda: len(ran) == len(stored), "the end of all jobs")

    assert set(ran) == set(stored)


@pytest.mark.case("R2")
async def test_a_server_that_forgot_everything_refuses_late_ends_and_keeps_no_ghosts(
    forgetful_server: Server,
) -> None:
    async with staged(forgetful_server.url) as stage:
        claim = await stage.start("a")
        await asyncio.to_thread(forgetful_server.kill)
        await asyncio.to_thread(forgetful_server.start)

        assert not await stage.settle(claim, Status.COMPLETED)
        assert not await stage.record(claim, message="still here")
        (renewed,) = await stage.backend.extend([claim.lease], 30.0)
        assert not renewed.held
        assert forgetful_server.run("DBSIZE") == 0


@pytest.mark.case("R4")
async def test_a_failover_may_lose_what_was_not_replicated_and_nothing_else(watched: Watched) -> None:
    async with staged(f"{watched.url}?prefix=failover", "timeout=1&retry_for=5") as stage:
        stored: list[str] = []
        failing_over = asyncio.create_task(asyncio.to_thread(watched.fail_over))
        while not failing_over.done():
            stored.append(f"job{len(stored)}")
            name = stored[-1]
            await persistent(partial(stage.put, name))
            await asyncio.sleep(0.01)
        await failing_over
        (last,) = await persistent(lambda: stage.put("last"))
        kept = {job.id for job in await stage.all_jobs()}

        lost = [name for name in stored if name not in kept]
        assert last.created
        assert kept <= {*stored, "last"}
        again = await stage.put(*stored)
        assert [answer.job_id for answer in again if answer.created] == lost
        claims = await stage.take(len(stored) + 1)
        assert sorted(claim.envelope.id for claim in claims) == sorted([*stored, "last"])
        settlements = [stage.settlement(claim, Status.COMPLETED) for claim in claims]
        assert all(await stage.backend.settle(settlements))


@pytest.mark.case("R6")
@pytest.mark.parametrize("how", ["frozen", "paused", "paused for writes"])
async def test_a_server_that_stands_still_stores_and_hands_out_once(own_server: Server, how: str) -> None:
    async with staged(own_server.url, "timeout=0.3&retry_for=10") as stage:
        await stage.put("early")
        (first,) = await stage.take(1, lease=0.5)
        stand_still = {
            "frozen": own_server.freeze,
            "paused": lambda: own_server.run("CLIENT", "PAUSE", 1500, "ALL"),
            "paused for writes": lambda: own_server.run("CLIENT", "PAUSE", 1500, "WRITE"),
        }[how]
        stand_still()
        thaw = threading.Timer(1.5, own_server.thaw)
        thaw.start()

        (answer,) = await stage.put("a")
        thaw.join()
        claims = await stage.take(10)
        rescued = await stage.backend.rescue("w2", 10, 30.0)

        assert answer.job_id == "a"
        assert [claim.envelope.id for claim in claims] == ["a"]
        assert [(claim.envelope.id, claim.lease.token) for claim in rescued] == [("early", 2)]
        assert await stage.backend.rescue("w3", 10, 30.0) == []
        assert not await stage.settle(first, Status.COMPLETED)
        assert await stage.told("a") == LIFE[:2]


@pytest.mark.case("R7")
async def test_a_full_server_takes_no_jobs_and_still_finishes_those_that_run(own_server: Server) -> None:
    async with staged(own_server.url) as stage:
        await stage.put("running", "waiting")
        claim = await stage.take_one()
        before = own_server.run("DBSIZE")
        own_server.run("CONFIG", "SET", "maxmemory", 1)

        with pytest.raises(BackendFull, match="maxmemory"):
            await stage.put("too much")
        with pytest.raises(BackendFull):
            await stage.take()
        assert await stage.settle(claim, Status.COMPLETED, result=b'"done"')

        own_server.run("CONFIG", "SET", "maxmemory", 0)
        assert own_server.run("DBSIZE") <= before + 2  # the shelf of completed jobs, and of results
        (answer,) = await stage.put("too much")
        assert answer.created
        assert [claim.envelope.id for claim in await stage.take()] == ["waiting", "too much"]


@pytest.mark.case("R8")
async def test_a_server_that_evicts_keys_is_refused_unless_told(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    own_server.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigError, match=r"allkeys-lru.*noeviction.*any_eviction=true"):
        async with staged(own_server.url):
            pass
    with caplog.at_level(logging.WARNING):
        async with staged(own_server.url, "any_eviction=true") as stage:
            await stage.put("a")
    assert "throws jobs away" in caplog.text


@pytest.mark.case("R9")
async def test_a_replica_takes_no_jobs_until_it_is_a_primary(own_server: Server) -> None:
    async with staged(own_server.url, "retry_for=0.3") as stage:
        await stage.put("a")
        own_server.run("REPLICAOF", "127.0.0.1", 1)

        with pytest.raises(BackendUnavailable, match="read-only replica"):
            await stage.put("b")
        own_server.run("REPLICAOF", "NO", "ONE")
        await stage.put("b")
        assert await stage.is_at("a", "b") == [Status.PENDING] * 2


@pytest.mark.case("R9")
async def test_a_replica_that_lost_its_primary_says_so(own_server: Server) -> None:
    async with staged(own_server.url, "retry_for=0.3") as stage:
        own_server.run("CONFIG", "SET", "replica-serve-stale-data", "no")
        own_server.run("REPLICAOF", "127.0.0.1", 1)

        with pytest.raises(BackendUnavailable, match="lost its primary"):
            await stage.status("a")


@pytest.mark.case("R9")
async def test_too_few_replicas_are_told_and_passed_by(own_server: Server) -> None:
    async with staged(own_server.url, "retry_for=0.3") as stage:
        own_server.run("CONFIG", "SET", "min-replicas-to-write", 1)

        with pytest.raises(BackendUnavailable, match="min-replicas-to-write"):
            await stage.put("a")
        own_server.run("CONFIG", "SET", "min-replicas-to-write", 0)
        (answer,) = await stage.put("a")
        assert answer.created


@pytest.mark.case("R9")
async def test_a_server_that_is_still_loading_is_waited_for(own_server: Server) -> None:
    async with staged(own_server.url) as stage:
        await stage.put(*(f"job{number}" for number in range(200)))
    own_server.run("BGREWRITEAOF")
    await asyncio.to_thread(own_server.shut_down)
    own_server.options = (*own_server.options, "--key-load-delay", "100000")
    starting = asyncio.create_task(asyncio.to_thread(own_server.start))

    async def connected() -> Status:
        async with staged(own_server.url, "retry_for=10") as stage:
            (status,) = await stage.is_at("job0")
            return status

    assert await persistent(connected) is Status.PENDING
    await starting


@pytest.mark.case("R9")
async def test_a_server_busy_with_somebodys_script_is_waited_for_or_told(own_server: Server) -> None:
    async with staged(own_server.url, "timeout=5&retry_for=0.5") as stage:
        own_server.run("CONFIG", "SET", "busy-reply-threshold", 10)
        endless = threading.Thread(target=_run_for_ever, args=(own_server,))
        endless.start()
        await asyncio.to_thread(until, lambda: _is_busy(own_server), "a busy server")

        with pytest.raises(BackendUnavailable, match="SCRIPT KILL"):
            await stage.put("a")
        own_server.run("SCRIPT", "KILL")
        endless.join()
        (answer,) = await stage.put("a")
        assert answer.job_id == "a"


@pytest.mark.case("R16")
@pytest.mark.parametrize("damage", ["gone", "cut short", "nonsense"])
async def test_a_job_whose_record_is_damaged_holds_up_no_other(own_server: Server, damage: str) -> None:
    async with staged(own_server.url) as stage:
        await stage.put("good", "bad", "better")
        place = own_server.run("ZSCORE", "aiojobs:{aiojobs}:jobs", "bad")
        field = str(int(float(place)))
        if damage == "gone":
            own_server.run("HDEL", "aiojobs:{aiojobs}:body", field)
        else:
            own_server.run(
                "HSET", "aiojobs:{aiojobs}:body", field, "x" if damage == "cut short" else "x" * 200
            )

        claims = await stage.take(10)

        assert [claim.envelope.id for claim in claims] == ["good", "better"]
        (late,) = await stage.put("late")
        assert late.created
        assert [claim.envelope.id for claim in await stage.take(10)] == ["late"]


@pytest.mark.case("R18")
@pytest.mark.parametrize("jump", [3600.0, -3600.0])
async def test_a_clock_of_the_server_that_jumps_ends_leases_early_or_late_but_no_job_twice(
    own_server: Server, jump: float
) -> None:
    clock = ManualClock()
    async with staged(own_server.url, clock=clock) as stage:
        first = await stage.start("a")
        clock.set_wall(SystemClock().now())
        if jump > 0:
            await clock.advance(jump)
        else:
            clock.reboot("boot-2")
        rescued = await stage.backend.rescue("w2", 10, 30.0)

        assert [claim.lease.token for claim in rescued] == [2]
        assert not await stage.settle(first, Status.COMPLETED)
        assert await stage.settle(rescued[0], Status.COMPLETED)
        assert (await stage.told("a")).count("JobCompleted") == 1


@pytest.mark.case("R19")
async def test_on_a_cluster_a_queue_that_moves_to_another_server_goes_on(
    cluster: Cluster, prefix: str
) -> None:
    async with staged(f"{cluster.url}?prefix={prefix}", "retry_for=60") as stage:
        await stage.put("before")
        keys = [key for node in cluster.nodes for key in node.run("KEYS", f"{prefix}:*")]
        slots = {int(cluster.nodes[0].run("CLUSTER", "KEYSLOT", key)) for key in keys}
        moving = asyncio.create_task(asyncio.to_thread(lambda: [cluster.move(slot) for slot in slots]))
        names: list[str] = []
        while not moving.done():
            names.append(f"job{len(names)}")
            await stage.put(names[-1])
        await moving
        await stage.put("after")

        claims = await stage.take(len(names) + 2)
        assert [claim.envelope.id for claim in claims] == ["before", *names, "after"]


@pytest.mark.case("R21")
async def test_too_old_a_server_is_refused(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiojobs_engine.backends.redis.checks.OLDEST", (99,))
    backend = RedisBackend(read_address(own_server.url), clock=SystemClock())

    with pytest.raises(ConfigError, match="is the oldest that will do"):
        await backend.open()


def _run_for_ever(server: Server) -> None:
    from redis.exceptions import ResponseError

    with server.client(socket_timeout=60) as client, pytest.raises(ResponseError, match=r"(?i)killed"):
        client.eval("while true do end", 0)


def _is_busy(server: Server) -> bool:
    from redis.exceptions import ResponseError

    try:
        server.run("DBSIZE")
    except ResponseError as error:
        return "BUSY" in str(error)
    return False
